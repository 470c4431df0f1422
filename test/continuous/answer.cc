#include "answer.h"

#include <cmath>

#include <fmt/format.h>

#include "duckdb/common/types/value.hpp"

namespace millrace {

namespace {

std::string Print(const duckdb::vector<Value>& row) {
  std::string text;
  for (auto& value : row) {
    text += text.empty() ? "" : " | ";
    text += value.IsNull() ? "NULL" : "'" + value.ToString() + "'";
  }
  return text;
}

bool CloseNumbers(double a, double b, double part) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return std::fabs(a - b) <= part * std::max({std::fabs(a), std::fabs(b), 1.0});
}

bool Close(const Value& a, const Value& b) {
  if (a.IsNull() || b.IsNull()) return a.IsNull() && b.IsNull();
  if (a.type().id() != b.type().id()) return false;
  switch (a.type().id()) {
    case LogicalTypeId::DOUBLE:
      return CloseNumbers(a.GetValue<double>(), b.GetValue<double>(), 1e-9);
    case LogicalTypeId::FLOAT:
      return CloseNumbers(a.GetValue<float>(), b.GetValue<float>(), 1e-5);
    case LogicalTypeId::LIST:
    case LogicalTypeId::ARRAY:
    case LogicalTypeId::MAP:
    case LogicalTypeId::STRUCT: {
      auto children = [](const Value& value) -> const duckdb::vector<Value>& {
        if (value.type().id() == LogicalTypeId::STRUCT)
          return duckdb::StructValue::GetChildren(value);
        if (value.type().id() == LogicalTypeId::ARRAY)
          return duckdb::ArrayValue::GetChildren(value);
        return duckdb::ListValue::GetChildren(value);
      };
      auto &left = children(a), &right = children(b);
      if (left.size() != right.size()) return false;
      for (idx_t i = 0; i < left.size(); i++) {
        if (!Close(left[i], right[i])) return false;
      }
      return true;
    }
    default:
      return a.ToString() == b.ToString();
  }
}

bool CloseRows(const duckdb::vector<Value>& a, const duckdb::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (idx_t i = 0; i < a.size(); i++) {
    if (!Close(a[i], b[i])) return false;
  }
  return true;
}

}  // namespace

bool Answer::Add(DataChunk& rows, idx_t row, int64_t weight) {
  duckdb::vector<Value> values;
  for (idx_t i = 0; i < rows.ColumnCount(); i++) values.push_back(rows.GetValue(i, row));
  auto found = entries_.emplace(Print(values), Entry{}).first;
  Entry& entry = found->second;
  entry.count += weight;
  total_ += weight;
  bool valid = entry.count >= 0;
  if (entry.count == 0) {
    entries_.erase(found);
  } else if (entry.values.empty()) {
    entry.values = std::move(values);
  }
  return valid;
}

std::string Answer::Difference(const Answer& batch) const {
  std::vector<Entry> mine, theirs;
  for (auto& [text, entry] : entries_) {
    auto other = batch.entries_.find(text);
    int64_t more = entry.count - (other == batch.entries_.end() ? 0 : other->second.count);
    if (more > 0) mine.push_back({entry.values, more});
    if (more < 0) theirs.push_back({entry.values, -more});
  }
  for (auto& [text, entry] : batch.entries_) {
    if (!entries_.count(text)) theirs.push_back(entry);
  }
  for (Entry& left : mine) {
    for (Entry& right : theirs) {
      if (left.count == 0) break;
      if (right.count == 0 || !CloseRows(left.values, right.values)) continue;
      int64_t pairs = std::min(left.count, right.count);
      left.count -= pairs;
      right.count -= pairs;
    }
  }
  std::string text;
  int lines = 0;
  auto show = [&](const char* side, const std::vector<Entry>& entries) {
    for (auto& entry : entries) {
      if (entry.count == 0 || ++lines > 20) continue;
      text += fmt::format("  only {}: {} x {}\n", side, entry.count, Print(entry.values));
    }
  };
  show("batch", theirs);
  show("stream", mine);
  return text;
}

}  // namespace millrace
