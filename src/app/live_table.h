// live_table.h - the fold of a changelog: the rows that are there now, drawn again as they change.
#pragma once

#include "base/change_chunk.h"

namespace millrace {

/// Folds changes into the multiset of rows that are there, in the order in which they came, and
/// draws the first of them over the drawing before.
///
/// Threads: one at a time.
class LiveTable {
 public:
  LiveTable(duckdb::vector<std::string> names, duckdb::vector<LogicalType> types,
            std::ostream& out);

  void Apply(ChangeChunk& chunk);
  /// Replaces the last drawing. `height`: lines of the terminal; 0 draws all rows.
  void Draw(size_t width, size_t height);
  idx_t RowCount() const { return row_count_; }

 private:
  struct Row {
    std::string texts;  // The columns' table texts, each preceded by its length.
    int64_t count = 0;
  };
  void Change(std::string key, int weight);

  duckdb::vector<std::string> names_;
  duckdb::vector<LogicalType> types_;
  std::ostream& out_;
  std::map<int64_t, Row> rows_;  // By arrival.
  std::unordered_map<std::string, int64_t> arrivals_;
  int64_t next_arrival_ = 0;
  idx_t row_count_ = 0;
  size_t drawn_lines_ = 0;
};

}  // namespace millrace
