// avro_rows.h - rows of structs in Avro files: what the manifest codecs share.
//
// Writing is by hand in the order of the schema. Reading goes by the schema in the file and by
// field name: each struct has a table of FieldCodecs, matched with the writer's fields once per
// file.
#pragma once

#include "base/error.h"
#include "meta/avro.h"

namespace millrace {

// Pieces of a schema's JSON.
inline constexpr const char* kInt = R"("int")";
inline constexpr const char* kLong = R"("long")";
inline constexpr const char* kBytes = R"("bytes")";
inline constexpr const char* kString = R"("string")";
inline constexpr const char* kStrings = R"({"type":"array","items":"string"})";
inline constexpr const char* kMillis = R"({"type":"long","logicalType":"timestamp-millis"})";
inline constexpr const char* kCounts = R"({"type":"array","items":["null","long"]})";
inline constexpr const char* kNamespace = R"("namespace":"org.apache.paimon.avro.generated",)";

inline std::string Field(const char* name, const std::string& type) {
  return fmt::format(R"({{"name":"{}","type":{}}})", name, type);
}

inline std::string NullableField(const char* name, const char* type) {
  return fmt::format(R"({{"name":"{}","type":["null",{}],"default":null}})", name, type);
}

/// Only the outermost record states its namespace.
inline std::string Record(const char* name, const char* space,
                          const std::vector<std::string>& fields) {
  return fmt::format(R"({{"type":"record","name":"{}",{}"fields":[{}]}})", name, space,
                     fmt::join(fields, ","));
}

// Nullable values: the number of the branch, then the value.
inline void AppendOptional(std::string& out, const std::optional<int64_t>& value) {
  AppendAvroLong(out, value ? 1 : 0);
  if (value) AppendAvroLong(out, *value);
}

inline void AppendOptional(std::string& out, const std::optional<std::string>& value) {
  AppendAvroLong(out, value ? 1 : 0);
  if (value) AppendAvroBytes(out, *value);
}

inline void AppendStrings(std::string& out, const std::vector<std::string>& values) {
  if (!values.empty()) {
    AppendAvroLong(out, static_cast<int64_t>(values.size()));
    for (const std::string& value : values) AppendAvroBytes(out, value);
  }
  AppendAvroLong(out, 0);
}

inline void AppendOptional(std::string& out,
                           const std::optional<std::vector<std::string>>& values) {
  AppendAvroLong(out, values ? 1 : 0);
  if (values) AppendStrings(out, *values);
}

class AvroRowReader;

/// How one field of a row is read into T.
template <typename T>
struct FieldCodec {
  const char* name;
  bool required;
  void (*read)(AvroRowReader& reader, const AvroType& type, T& out);
};

/// Reads the rows of one file. What each field of the writer's record means is worked out once.
/// Threads: one at a time.
class AvroRowReader {
 public:
  explicit AvroRowReader(const std::string& file) : input("", file), file_(file) {}

  template <typename T, size_t kCount>
  void Read(const AvroType& type, const FieldCodec<T> (&codecs)[kCount], T& out) {
    const AvroType& record = input.Resolve(type);
    if (record.kind != AvroKind::kRecord) input.Fail("a record is expected");
    if (depth_ == kMaxDepth) input.Fail("a row is nested too deeply");  // It may name itself.
    depth_++;
    const std::vector<int>& plan = PlanOf(record, codecs);
    for (size_t i = 0; i < plan.size(); i++) {
      if (plan[i] < 0) {
        input.Skip(*record.children[i]);
      } else {
        codecs[plan[i]].read(*this, *record.children[i], out);
      }
    }
    depth_--;
  }

  std::optional<std::vector<std::string>> Strings(const AvroType& type) {
    std::vector<std::string> values;
    bool present =
        input.Array(type, [&](const AvroType& item) { values.push_back(input.String(item)); });
    return present ? std::optional(std::move(values)) : std::nullopt;
  }

  void CheckVersion(const AvroType& type, int known) {
    int version = input.Int(type);
    if (version == known) return;
    Throw(ErrorCode::kUnsupported,
          "Reading Avro file '{}': its rows have version {}; {} is supported", file_, version,
          known);
  }

  AvroInput input;

 private:
  /// For each field of the file its place in `codecs`, -1 = skip.
  template <typename T, size_t kCount>
  const std::vector<int>& PlanOf(const AvroType& record, const FieldCodec<T> (&codecs)[kCount]) {
    auto [found, is_new] = plans_.try_emplace({&record, codecs});
    if (!is_new) return found->second;
    std::vector<int> plan;
    std::vector<bool> seen(kCount, false);
    for (const std::string& name : record.names) {
      int place = -1;
      for (size_t i = 0; i < kCount; i++) {
        if (name == codecs[i].name && !seen[i]) place = static_cast<int>(i);
      }
      if (place >= 0) seen[static_cast<size_t>(place)] = true;
      plan.push_back(place);
    }
    for (size_t i = 0; i < kCount; i++) {
      if (!seen[i] && codecs[i].required)
        input.Fail(fmt::format("its rows have no field {}", codecs[i].name));
    }
    return found->second = std::move(plan);
  }

  static constexpr int kMaxDepth = 16;

  const std::string& file_;
  std::map<std::pair<const AvroType*, const void*>, std::vector<int>> plans_;
  int depth_ = 0;
};

/// All rows of the file `bytes`.
template <typename T, size_t kCount>
std::vector<T> ReadRows(std::string_view bytes, const std::string& file,
                        const FieldCodec<T> (&codecs)[kCount]) {
  AvroFileReader blocks(bytes, file);
  AvroRowReader reader(file);
  std::vector<T> rows;
  int64_t count = 0;
  while (std::optional<std::string_view> block = blocks.NextBlock(count)) {
    reader.input = AvroInput(*block, file);
    for (int64_t i = 0; i < count; i++) reader.Read(blocks.schema(), codecs, rows.emplace_back());
    if (!reader.input.AtEnd()) reader.input.Fail("a block is longer than its rows");
  }
  return rows;
}

}  // namespace millrace
