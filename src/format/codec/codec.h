// codec.h - records in bytes <-> change chunks: the formats of files and, later, of messages.
//
// Decoders write straight into the vectors of a chunk; a malformed record ends the operation with
// its place and field, or is skipped and counted (`<format>.ignore-parse-errors`). README.md: the
// rules.
#pragma once

#include <algorithm>

#include "base/change_chunk.h"
#include "meta/table_definition.h"

namespace millrace {

/// Bytes that must be readable behind what a decoder is given (simdjson reads in strides).
inline constexpr idx_t kDecodePadding = 64;

/// What a record consists of, and which of its fields are wanted, in the order of the chunk's
/// columns.
struct RecordFormat {
  std::vector<DataField> fields;
  std::vector<idx_t> wanted;

  duckdb::vector<LogicalType> WantedTypes() const;
};

/// Turns bytes into rows.
///
/// Threads: one at a time. Throws: Error(kData) naming origin, record and field.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual ChangelogType Changelog() const { return ChangelogType::kAppend; }
  /// Appends rows to `chunk` (flat, of WantedTypes()) until it is full or `bytes` hold no further
  /// whole record; `complete`: the last record may lack its line end. Returns the bytes consumed.
  /// REQUIRES: kDecodePadding readable bytes behind `bytes`. After an Error the chunk is undefined.
  virtual idx_t Decode(std::string_view bytes, bool complete, ChangeChunk& chunk) = 0;
  /// The next byte is the first of record `record` (from 0) of `origin`, a file's path or the like.
  void SetOrigin(std::string origin, int64_t record) {
    origin_ = std::move(origin);
    record_ = record;
  }
  /// A chunk counts as full at `rows` rows (an update takes two): for small steps.
  void LimitRows(idx_t rows) { limit_ = std::min(std::max<idx_t>(rows, 2), kChunkRows); }
  /// Number of the next record.
  int64_t Record() const { return record_; }
  /// Malformed records skipped since construction.
  int64_t Skipped() const { return skipped_; }

 protected:
  std::string origin_;
  int64_t record_ = 0;
  int64_t skipped_ = 0;
  idx_t limit_ = kChunkRows;
};

/// Turns rows into bytes.
/// Threads: one at a time. Throws: Error(kData) when a row cannot be written in the format.
class Encoder {
 public:
  virtual ~Encoder() = default;
  virtual ChangelogType Accepts() const { return ChangelogType::kAppend; }
  /// What stands at the head of a file.
  virtual std::string Header() const { return ""; }
  /// Appends all rows of `chunk`, each with its line end.
  virtual void Encode(ChangeChunk& chunk, std::string& out) = 0;
};

/// Throws Error(kInvalid) when the columns of `rows` are not of the fields' types: cells are read
/// by them.
void CheckColumnTypes(const DataChunk& rows, const std::vector<DataField>& fields);

struct FormatOption {
  std::string name;
  std::string description;
};

/// True for "json", "csv", "debezium-json".
bool IsCodec(const std::string& format);
const std::vector<std::string>& CodecNames();
/// The options that `format` reads.
std::vector<FormatOption> CodecOptions(const std::string& format);
/// Checks option values and column types. Throws: Error(kInvalid), Error(kUnsupported).
void ValidateCodec(const std::string& format, const std::vector<DataField>& fields,
                   const Options& options);
std::unique_ptr<Decoder> MakeDecoder(const std::string& format, RecordFormat record,
                                     const Options& options);
std::unique_ptr<Encoder> MakeEncoder(const std::string& format, std::vector<DataField> fields,
                                     const Options& options);

}  // namespace millrace
