// avro.h - Avro object container files: a small reader that resolves by the writer's schema, and a
// writer.
//
// A file is "Obj\1", a map with avro.schema and avro.codec, a 16-byte sync marker, then blocks of
// (row count, byte length, rows, sync marker). What a row's bytes mean is told by the schema in the
// file alone, so a reader walks that schema, picks fields by name and skips the rest
// (docs/format.md#manifests; Avro 1.11 specification).
#pragma once

#include "base/bytes.h"
#include "base/duck.h"

namespace millrace {

enum class AvroKind : uint8_t {
  kNull,
  kBoolean,
  kInt,
  kLong,
  kFloat,
  kDouble,
  kBytes,
  kString,
  kFixed,
  kEnum,
  kRecord,
  kArray,
  kMap,
  kUnion,
};

/// One type of a schema. Named types may be referred to from several places, also from inside.
struct AvroType {
  AvroKind kind = AvroKind::kNull;
  std::string name;                       // Of a record, enum or fixed: with its namespace.
  std::string logical_type;               // "timestamp-millis", "decimal" ...
  int64_t size = 0;                       // Fixed.
  int precision = 0, scale = 0;           // Logical type decimal.
  std::vector<std::string> names;         // Fields of a record, symbols of an enum.
  std::vector<const AvroType*> children;  // Types of fields; array, map: one; union: branches.
};

/// Owns the types. Throws: Error(kCorrupt) naming `file`.
class AvroSchema {
 public:
  AvroSchema(std::string_view json, const std::string& file);
  const AvroType& root() const { return *root_; }

 private:
  friend class AvroSchemaParser;
  std::vector<std::unique_ptr<AvroType>> types_;
  const AvroType* root_ = nullptr;
};

/// Takes values from the front of some encoded bytes. Where a type is asked for, unions are
/// resolved and the numeric and byte-like types stand for each other.
///
/// Threads: one at a time. Throws: Error(kCorrupt) naming the file when bytes and type do not fit.
class AvroInput {
 public:
  AvroInput(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(&file) {}

  int64_t Long();
  std::string_view Bytes();
  bool Boolean();
  float Float();
  double Double();
  std::string_view Take(int64_t length);

  /// The type of the value that follows: `type`, or the branch of a union.
  const AvroType& Resolve(const AvroType& type);
  int64_t Long(const AvroType& type);
  std::optional<int64_t> OptionalLong(const AvroType& type);
  int Int(const AvroType& type);
  std::optional<int> OptionalInt(const AvroType& type);
  std::string String(const AvroType& type);
  std::optional<std::string> OptionalString(const AvroType& type);
  /// Calls `item` for each item; false when the array is null.
  bool Array(const AvroType& type, const std::function<void(const AvroType& item_type)>& item);
  void Skip(const AvroType& type, int depth = 0);

  bool AtEnd() const { return bytes_.empty(); }
  const std::string& file() const { return *file_; }
  [[noreturn]] void Fail(const std::string& found) const;

 private:
  /// Number of items of the next block of an array or map; 0 at the end.
  int64_t BlockCount();

  std::string_view bytes_;
  const std::string* file_;
};

/// Reads a container file block by block. `bytes` and `file` must outlive it.
///
/// Threads: one at a time. Throws: Error(kCorrupt), Error(kUnsupported) for a codec it has not.
class AvroFileReader {
 public:
  AvroFileReader(std::string_view bytes, const std::string& file);
  const AvroType& schema() const { return schema_->root(); }
  /// The uncompressed rows of the next block, valid until the next call; nullopt at the end.
  std::optional<std::string_view> NextBlock(int64_t& rows);

 private:
  std::string_view rest_;
  std::string file_;
  std::string codec_;
  std::string_view sync_;
  std::unique_ptr<AvroSchema> schema_;
  std::string block_;
};

/// Builds a container file in memory. Equal rows give equal bytes.
/// Threads: one at a time.
class AvroFileWriter {
 public:
  /// `codec`: "null", "deflate" or "zstandard".
  explicit AvroFileWriter(std::string_view schema_json, std::string codec = "zstandard");
  /// Encode one row into this, then call EndRow.
  std::string& row() { return block_; }
  void EndRow();
  std::string Finish();

 private:
  void FlushBlock();

  std::string schema_;
  std::string codec_;
  std::string sync_;
  std::string blocks_;  // Whole ones.
  std::string block_;
  int64_t rows_ = 0;
};

// The encodings of a value, appended to `out`.
inline void AppendAvroLong(std::string& out, int64_t value) {
  AppendVarint(out, ZigZag(value));
}
void AppendAvroBytes(std::string& out, std::string_view bytes);

}  // namespace millrace
