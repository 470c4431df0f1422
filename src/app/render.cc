#include "app/render.h"

#include <algorithm>
#include <ostream>

#include "app/display_width.h"
#include "format/codec/value_text.h"

namespace millrace {

namespace {

constexpr size_t kFlushBytes = 1 << 16;
constexpr idx_t kSizingRows = 2000;  // A table's columns are sized by so many rows.
constexpr size_t kNarrowest = 5;     // No column is cut below.

// The rendered columns of one chunk; `op` first in changelogs.
struct TextChunk {
  std::vector<TextColumn> columns;
  idx_t rows = 0;
};

void RenderOps(const ChangeChunk& chunk, const TextForm& form, TextColumn& out) {
  const char* quote = form.nested == TextForm::Nested::kJson ? "\"" : "";
  out.bytes.clear();
  out.ends.clear();
  out.is_null.assign(chunk.size(), 0);
  for (idx_t row = 0; row < chunk.size(); row++) {
    out.bytes.append(quote).append(RowKindName(chunk.KindOf(row))).append(quote);
    out.ends.push_back(out.bytes.size());
  }
}

void RenderChunk(ChangeChunk& chunk, bool changelog, const TextForm& form, TextChunk& out) {
  idx_t first = changelog ? 1 : 0;
  out.rows = chunk.size();
  out.columns.resize(chunk.rows.ColumnCount() + first);
  if (changelog) RenderOps(chunk, form, out.columns[0]);
  for (idx_t column = 0; column < chunk.rows.ColumnCount(); column++) {
    RenderColumn(chunk.rows.data[column], chunk.size(), form, out.columns[column + first]);
  }
}

std::vector<std::string> HeaderOf(const duckdb::vector<std::string>& names, bool changelog) {
  std::vector<std::string> header;
  if (changelog) header.push_back("op");
  header.insert(header.end(), names.begin(), names.end());
  return header;
}

// Collects text and hands it on in large pieces.
class LineBuffer {
 public:
  explicit LineBuffer(std::ostream& out) : out_(out) {}
  std::string& text() { return text_; }
  void FlushIfLarge() {
    if (text_.size() >= kFlushBytes) Flush();
  }
  void Flush() {
    out_.write(text_.data(), static_cast<std::streamsize>(text_.size()));
    out_.flush();
    text_.clear();
  }

 private:
  std::ostream& out_;
  std::string text_;
};

// RFC 4180, but for line feeds alone at the ends of lines. NULL is nothing, the empty string "".
class CsvWriter : public ResultWriter {
 public:
  CsvWriter(std::vector<std::string> header, bool changelog, std::ostream& out)
      : changelog_(changelog), buffer_(out) {
    for (size_t i = 0; i < header.size(); i++) {
      if (i > 0) buffer_.text() += ',';
      AppendField(header[i]);
    }
    buffer_.text() += '\n';
  }

  void Write(ChangeChunk& chunk) override {
    RenderChunk(chunk, changelog_, kPlainText, texts_);
    std::string& text = buffer_.text();
    for (idx_t row = 0; row < texts_.rows; row++) {
      for (idx_t column = 0; column < texts_.columns.size(); column++) {
        if (column > 0) text += ',';
        const TextColumn& values = texts_.columns[column];
        if (!values.is_null[row]) AppendField(values.At(row));
      }
      text += '\n';
      buffer_.FlushIfLarge();
    }
  }
  void Idle() override { buffer_.Flush(); }
  void End() override { buffer_.Flush(); }

 private:
  void AppendField(std::string_view value) {
    std::string& text = buffer_.text();
    if (!value.empty() && value.find_first_of(",\"\r\n") == std::string_view::npos) {
      text += value;
      return;
    }
    text += '"';
    for (char c : value) {
      if (c == '"') text += '"';
      text += c;
    }
    text += '"';
  }

  bool changelog_;
  LineBuffer buffer_;
  TextChunk texts_;
};

// One object a line.
class JsonWriter : public ResultWriter {
 public:
  JsonWriter(std::vector<std::string> header, bool changelog, std::ostream& out)
      : changelog_(changelog), buffer_(out) {
    for (size_t i = 0; i < header.size(); i++) {
      std::string key = i == 0 ? "{" : ",";
      AppendJsonString(header[i], key);
      keys_.push_back(key + ":");
    }
  }

  void Write(ChangeChunk& chunk) override {
    RenderChunk(chunk, changelog_, kJsonText, texts_);
    std::string& text = buffer_.text();
    for (idx_t row = 0; row < texts_.rows; row++) {
      for (idx_t column = 0; column < texts_.columns.size(); column++) {
        text += keys_[column];
        text += texts_.columns[column].At(row);
      }
      text += texts_.columns.empty() ? "{}\n" : "}\n";
      buffer_.FlushIfLarge();
    }
  }
  void Idle() override { buffer_.Flush(); }
  void End() override { buffer_.Flush(); }

 private:
  bool changelog_;
  LineBuffer buffer_;
  TextChunk texts_;
  std::vector<std::string> keys_;  // {"first":  ,"second":
};

// What a growing stream may still bring, by type: a column sized by "1" would soon be too narrow.
size_t RoomyWidth(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::TIMESTAMP_NS:
      return 23;
    case LogicalTypeId::DATE:
      return 10;
    case LogicalTypeId::BOOLEAN:
      return 5;
    case LogicalTypeId::VARCHAR:
      return 16;
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
      return 6;
    default:
      return type.IsNumeric() ? 12 : 8;
  }
}

// Tables with a frame, and Markdown's, which has no frame and no cuts.
class TableWriter : public ResultWriter {
 public:
  TableWriter(const RenderOptions& options, std::vector<std::string> header,
              const duckdb::vector<LogicalType>& types, bool changelog, std::ostream& out)
      : markdown_(options.format == OutputFormat::kMarkdown),
        terminal_(markdown_ ? 0 : options.terminal_width),
        changelog_(changelog),
        header_(std::move(header)),
        buffer_(out) {
    if (changelog) {
      right_.push_back(false);
      roomy_.push_back(2);
    }
    for (auto& type : types) {
      right_.push_back(IsRightAligned(type));
      roomy_.push_back(RoomyWidth(type));
    }
  }

  void Write(ChangeChunk& chunk) override {
    if (begun_) {
      RenderChunk(chunk, changelog_, kTableText, texts_);
      AppendRows(texts_);
      return;
    }
    held_.emplace_back();
    RenderChunk(chunk, changelog_, kTableText, held_.back());
    held_rows_ += held_.back().rows;
    if (held_rows_ >= kSizingRows) BeginTable(/*complete=*/false);
  }
  void Idle() override {
    if (!begun_ && held_rows_ == 0) return;
    if (!begun_) BeginTable(/*complete=*/false);
    buffer_.Flush();
  }
  void End() override {
    if (!begun_) BeginTable(/*complete=*/true);
    if (!markdown_) AppendRule();
    buffer_.Flush();
  }

 private:
  void BeginTable(bool complete) {
    begun_ = true;
    if (markdown_) {
      for (std::string& name : header_) name = EscapeBars(name);
    }
    std::vector<size_t> widths;
    for (size_t i = 0; i < header_.size(); i++) {
      size_t width = DisplayWidth(header_[i]);
      for (const TextChunk& chunk : held_) {
        for (idx_t row = 0; row < chunk.rows; row++) {
          width = std::max(width, DisplayWidth(Cell(chunk, i, row)));
        }
      }
      if (!complete) width = std::max(width, roomy_[i]);
      widths.push_back(markdown_ ? std::max<size_t>(width, 3) : width);
    }
    ShrinkToTerminal(terminal_, widths);
    widths_ = std::move(widths);
    if (!markdown_) AppendRule();
    AppendHeader();
    AppendRule();
    for (const TextChunk& chunk : held_) AppendRows(chunk);
    held_.clear();
  }

  // In Markdown a '|' inside a cell would end it.
  std::string_view Cell(const TextChunk& chunk, size_t column, idx_t row) {
    std::string_view text = chunk.columns[column].At(row);
    if (!markdown_ || text.find('|') == std::string_view::npos) return text;
    escaped_ = EscapeBars(text);
    return escaped_;
  }
  static std::string EscapeBars(std::string_view text) {
    std::string escaped;
    for (char c : text) {
      if (c == '|') escaped += '\\';
      escaped += c;
    }
    return escaped;
  }

  void AppendRule() {
    std::string& text = buffer_.text();
    for (size_t i = 0; i < widths_.size(); i++) {
      if (markdown_) {
        text += i == 0 ? "| " : " | ";
        text.append(widths_[i] - 1, '-');
        text += right_[i] ? ':' : '-';
      } else {
        text += '+';
        text.append(widths_[i] + 2, '-');
      }
    }
    text += markdown_ ? " |\n" : "+\n";
  }
  void AppendHeader() {
    for (size_t i = 0; i < header_.size(); i++) AppendCell(header_[i], i);
    buffer_.text() += " |\n";
  }
  void AppendRows(const TextChunk& chunk) {
    for (idx_t row = 0; row < chunk.rows; row++) {
      for (size_t i = 0; i < header_.size(); i++) AppendCell(Cell(chunk, i, row), i);
      buffer_.text() += " |\n";
      buffer_.FlushIfLarge();
    }
  }
  void AppendCell(std::string_view cell, size_t column) {
    std::string& text = buffer_.text();
    text += column == 0 ? "| " : " | ";
    // Only a terminal's lines must not grow: in a file a cut cell would be a lost value.
    size_t width = widths_[column];
    if (terminal_ == 0) width = std::max(width, DisplayWidth(cell));
    AppendFitted(cell, width, right_[column], text);
  }

  bool markdown_;
  size_t terminal_;
  bool changelog_;
  std::vector<std::string> header_;
  std::vector<bool> right_;
  std::vector<size_t> roomy_;
  LineBuffer buffer_;
  bool begun_ = false;
  std::vector<TextChunk> held_;
  idx_t held_rows_ = 0;
  std::vector<size_t> widths_;
  TextChunk texts_;
  std::string escaped_;
};

}  // namespace

std::optional<OutputFormat> ParseOutputFormat(const std::string& name) {
  if (name == "table") return OutputFormat::kTable;
  if (name == "csv") return OutputFormat::kCsv;
  if (name == "json") return OutputFormat::kJson;
  if (name == "markdown") return OutputFormat::kMarkdown;
  return std::nullopt;
}

void ShrinkToTerminal(size_t terminal_width, std::vector<size_t>& widths) {
  size_t total = 1;
  for (size_t width : widths) total += width + 3;
  while (terminal_width > 0 && total > terminal_width) {
    auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kNarrowest) return;
    --*widest;
    total--;
  }
}

std::unique_ptr<ResultWriter> MakeResultWriter(const RenderOptions& options,
                                               const duckdb::vector<std::string>& names,
                                               const duckdb::vector<LogicalType>& types,
                                               bool changelog, std::ostream& out) {
  std::vector<std::string> header = HeaderOf(names, changelog);
  switch (options.format) {
    case OutputFormat::kCsv:
      return std::make_unique<CsvWriter>(header, changelog, out);
    case OutputFormat::kJson:
      return std::make_unique<JsonWriter>(header, changelog, out);
    default:
      return std::make_unique<TableWriter>(options, header, types, changelog, out);
  }
}

}  // namespace millrace
