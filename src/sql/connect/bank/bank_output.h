// bank_output.h - staged rows of a bank table -> the chunks of one reader of it.
//
// The generator writes whole columns of up to 2048 rows; a reader takes those that it wants.
#pragma once

#include "format/codec/codec.h"
#include "format/codec/json.h"
#include "sql/connect/bank/bank_schema.h"
#include "stream/source.h"

namespace millrace {

using BankReceiver = std::function<void(idx_t, ChangeChunk&)>;

/// Columns of one bank table, in the order of BankColumns: arrays of its DuckDB types. A BIGINT 0
/// in a nullable column stands for NULL.
struct StagedRows {
  std::vector<const void*> columns;
  std::vector<RowKind> kinds;  // Empty for a table of inserts only; else kChunkRows.
  idx_t count = 0;
};

/// Copies staged rows into a chunk, as they are or by way of Debezium JSON.
/// Threads: one at a time.
class BankOutput {
 public:
  /// `index`: what the receiver is told.
  BankOutput(const SourceTable& table, idx_t index, bool debezium);
  BankTable table() const { return table_; }
  void Send(const StagedRows& rows, const BankReceiver& receive);

 private:
  struct Column {
    idx_t staged;
    idx_t width;
    bool has_nulls;
    bool is_text;
  };
  void SendDecoded(const BankReceiver& receive);

  const BankTable table_;
  const idx_t index_;
  std::vector<Column> columns_;
  ChangeChunk chunk_;
  // Only for Debezium JSON.
  std::unique_ptr<JsonRowWriter> writer_;
  std::unique_ptr<Decoder> decoder_;
  ChangeChunk decoded_;
  std::string text_;
};

}  // namespace millrace
