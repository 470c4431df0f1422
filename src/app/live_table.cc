#include "app/live_table.h"

#include <cstring>
#include <ostream>

#include "app/display_width.h"
#include "app/render.h"
#include "base/error.h"
#include "format/codec/value_text.h"

namespace millrace {

namespace {

// Lines of a drawing that are no rows: three rules, the header, the count, the cursor's line.
constexpr size_t kFrameLines = 6;

std::vector<std::string_view> Unpack(const std::string& texts) {
  std::vector<std::string_view> columns;
  for (size_t at = 0; at < texts.size();) {
    uint32_t length;
    memcpy(&length, texts.data() + at, sizeof(length));
    columns.push_back(std::string_view(texts).substr(at + sizeof(length), length));
    at += sizeof(length) + length;
  }
  return columns;
}

}  // namespace

LiveTable::LiveTable(duckdb::vector<std::string> names, duckdb::vector<LogicalType> types,
                     std::ostream& out)
    : names_(std::move(names)), types_(std::move(types)), out_(out) {}

void LiveTable::Apply(ChangeChunk& chunk) {
  std::vector<TextColumn> columns(types_.size());
  for (idx_t i = 0; i < columns.size(); i++) {
    RenderColumn(chunk.rows.data[i], chunk.size(), kTableText, columns[i]);
  }
  for (idx_t row = 0; row < chunk.size(); row++) {
    std::string key;
    for (const TextColumn& column : columns) {
      std::string_view text = column.At(row);
      uint32_t length = static_cast<uint32_t>(text.size());
      key.append(reinterpret_cast<const char*>(&length), sizeof(length)).append(text);
    }
    Change(std::move(key), Weight(chunk.KindOf(row)));
  }
}

void LiveTable::Change(std::string key, int weight) {
  row_count_ += weight;
  auto found = arrivals_.find(key);
  if (found == arrivals_.end()) {
    rows_[next_arrival_] = Row{key, weight};
    arrivals_.emplace(std::move(key), next_arrival_++);
    return;
  }
  Row& row = rows_[found->second];
  row.count += weight;
  if (row.count == 0) {  // A -old may also come before its +new: negative counts wait for it.
    rows_.erase(found->second);
    arrivals_.erase(found);
  }
}

void LiveTable::Draw(size_t width, size_t height) {
  idx_t limit = height == 0 ? row_count_ : height > kFrameLines ? height - kFrameLines : 1;
  std::string text;
  if (drawn_lines_ > 0) text += fmt::format("\x1b[{}A\r\x1b[J", drawn_lines_);
  std::vector<std::vector<std::string_view>> shown;
  std::vector<size_t> widths;
  for (auto& name : names_) widths.push_back(DisplayWidth(name));
  for (auto& [arrival, row] : rows_) {
    for (int64_t copy = 0; copy < row.count && shown.size() < limit; copy++) {
      shown.push_back(Unpack(row.texts));
      for (idx_t i = 0; i < widths.size(); i++) {
        widths[i] = std::max(widths[i], DisplayWidth(shown.back()[i]));
      }
    }
    if (shown.size() >= limit) break;
  }
  ShrinkToTerminal(width, widths);
  std::string rule;
  for (size_t cells : widths) rule += "+" + std::string(cells + 2, '-');
  rule += "+\n";
  auto line = [&](auto&& cell_of) {
    for (idx_t i = 0; i < widths.size(); i++) {
      text += i == 0 ? "| " : " | ";
      AppendFitted(cell_of(i), widths[i], IsRightAligned(types_[i]), text);
    }
    text += " |\n";
  };
  text += rule;
  line([&](idx_t i) { return std::string_view(names_[i]); });
  text += rule;
  for (auto& row : shown) line([&](idx_t i) { return row[i]; });
  text += rule;
  text += shown.size() == row_count_
              ? fmt::format("{} row{}\n", row_count_, row_count_ == 1 ? "" : "s")
              : fmt::format("{} rows, the first {} shown\n", row_count_, shown.size());
  drawn_lines_ = shown.size() + kFrameLines - 1;  // Rules, header, count.
  out_.write(text.data(), static_cast<std::streamsize>(text.size()));
  out_.flush();
}

}  // namespace millrace
