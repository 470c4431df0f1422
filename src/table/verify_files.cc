#include "table/verify_files.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/allocator.hpp"
#include "lsm/sort_key.h"
#include "meta/binary_row.h"
#include "meta/options.h"
#include "table/verify_file_index.h"

namespace millrace {

namespace {

std::vector<DataType> TypesOf(const std::vector<DataField>& fields) {
  std::vector<DataType> types;
  for (const DataField& field : fields) types.push_back(field.type);
  return types;
}

std::string KeyText(const std::vector<Value>& key) {
  std::string text;
  for (const Value& value : key) text += (text.empty() ? "" : ", ") + value.ToString();
  return "(" + text + ")";
}

/// Strings compare by bytes as Value does; floats are compared as numbers.
bool Below(const Value& a, const Value& b) {
  return !a.IsNull() && !b.IsNull() && a < b;
}

/// What recorded statistics of some columns say that is not so of the true ones.
void CompareStats(const char* what, const std::vector<std::string>& names,
                  const std::vector<DataType>& types, const SimpleStats& recorded,
                  const SimpleStats& truth, std::vector<std::string>& problems) {
  std::vector<Value> least = DecodeRow(types, recorded.min_values);
  std::vector<Value> greatest = DecodeRow(types, recorded.max_values);
  std::vector<Value> true_least = DecodeRow(types, truth.min_values);
  std::vector<Value> true_greatest = DecodeRow(types, truth.max_values);
  for (idx_t i = 0; i < types.size(); i++) {
    if (i < least.size() && Below(true_least[i], least[i])) {
      problems.push_back(fmt::format("{} say that column '{}' is at least {}, but it holds {}",
                                     what, names[i], least[i].ToString(),
                                     true_least[i].ToString()));
    }
    if (i < greatest.size() && Below(greatest[i], true_greatest[i])) {
      problems.push_back(fmt::format("{} say that column '{}' is at most {}, but it holds {}", what,
                                     names[i], greatest[i].ToString(),
                                     true_greatest[i].ToString()));
    }
    if (i < recorded.null_counts.size() && recorded.null_counts[i] && truth.null_counts[i] &&
        *recorded.null_counts[i] != *truth.null_counts[i]) {
      problems.push_back(fmt::format("{} say that column '{}' has {} nulls, but it has {}", what,
                                     names[i], *recorded.null_counts[i], *truth.null_counts[i]));
    }
  }
}

}  // namespace

struct FileVerifier::Content {
  int64_t rows = 0;
  int64_t deletes = 0;
  int64_t min_sequence = INT64_MAX, max_sequence = INT64_MIN;
  std::vector<Value> first_key, last_key;
  SimpleStats key_stats, value_stats;  // Of all columns, exact.
  std::vector<std::string> problems;
};

namespace {

/// Looks at the rows of one file as they come.
class RowChecks {
 public:
  RowChecks(const TableSchema& schema, const ManifestEntry& entry, bool keyed, bool changelog)
      : entry_(entry), changelog_(changelog) {
    if (keyed) key_ = schema.TrimmedPrimaryKey();
    first_field_ = keyed ? key_.size() + 2 : 0;
    bool hashed = GetString(schema.options, "bucket-function.type", "default") == "default";
    if (entry.total_buckets > 0 && entry.bucket >= 0 && hashed) bucket_key_ = schema.BucketKey();
    for (idx_t column : bucket_key_) bucket_types_.push_back(schema.fields[column].type);
    for (idx_t& column : bucket_key_) column += first_field_;
  }

  idx_t first_field() const { return first_field_; }

  void Look(DataChunk& chunk, std::vector<std::string>& problems) {
    if (!key_.empty()) {
      LookAtKeys(chunk, problems);
      LookAtKinds(chunk, problems);
    }
    if (!bucket_key_.empty()) LookAtBuckets(chunk, problems);
    rows_ += static_cast<int64_t>(chunk.size());
  }

  int64_t deletes() const { return deletes_; }
  int64_t min_sequence() const { return min_sequence_; }
  int64_t max_sequence() const { return max_sequence_; }

 private:
  std::unique_ptr<Vector> Bytes(DataChunk& chunk, const std::vector<idx_t>& columns) const {
    DataChunk chosen;
    duckdb::vector<LogicalType> types;
    for (idx_t column : columns) types.push_back(chunk.data[column].GetType());
    chosen.InitializeEmpty(types);
    for (idx_t i = 0; i < columns.size(); i++) chosen.data[i].Reference(chunk.data[columns[i]]);
    chosen.SetCardinality(chunk.size());
    auto bytes = std::make_unique<Vector>(LogicalType::BLOB);
    NormaliseToBlobs(chosen, *bytes);
    bytes->Flatten(chunk.size());
    return bytes;
  }

  void Say(std::vector<std::string>& problems, bool& said, std::string problem) {
    if (!said) problems.push_back(std::move(problem));
    said = true;
  }

  void LookAtKeys(DataChunk& chunk, std::vector<std::string>& problems) {
    std::vector<idx_t> stored(key_.size()), values(key_.size());
    for (idx_t i = 0; i < key_.size(); i++) {
      stored[i] = i;
      values[i] = first_field_ + key_[i];
    }
    auto bytes = Bytes(chunk, values);
    auto* keys = duckdb::FlatVector::GetData<string_t>(*bytes);
    for (idx_t i = 0; i < chunk.size(); i++) {
      string_t before = i == 0 ? string_t(last_key_.data(), static_cast<uint32_t>(last_key_.size()))
                               : keys[i - 1];
      if (rows_ + static_cast<int64_t>(i) == 0) continue;
      if (keys[i] < before || (!changelog_ && keys[i] == before)) {
        Say(problems, said_order_,
            fmt::format("row {} has {} key {}", rows_ + static_cast<int64_t>(i),
                        keys[i] == before ? "the same key as the row before it:"
                                          : "a lesser key than the row before it:",
                        KeyAt(chunk, values, i)));
      }
    }
    last_key_ = keys[chunk.size() - 1].GetString();
    // Thin files keep the key in the value columns alone: then these are all NULL.
    if (chunk.data[0].GetValue(0).IsNull()) return;
    auto own = Bytes(chunk, stored);
    auto* own_keys = duckdb::FlatVector::GetData<string_t>(*own);
    for (idx_t i = 0; i < chunk.size(); i++) {
      if (own_keys[i] == keys[i]) continue;
      Say(problems, said_copy_,
          fmt::format("row {} has the key {} in its _KEY_ columns and {} in its values",
                      rows_ + static_cast<int64_t>(i), KeyAt(chunk, stored, i),
                      KeyAt(chunk, values, i)));
    }
  }

  static std::string KeyAt(DataChunk& chunk, const std::vector<idx_t>& columns, idx_t row) {
    std::vector<Value> key;
    for (idx_t column : columns) key.push_back(chunk.GetValue(column, row));
    return KeyText(key);
  }

  void LookAtKinds(DataChunk& chunk, std::vector<std::string>& problems) {
    UnifiedVectorFormat kinds, sequences;
    chunk.data[key_.size()].ToUnifiedFormat(chunk.size(), sequences);
    chunk.data[key_.size() + 1].ToUnifiedFormat(chunk.size(), kinds);
    auto* kind = UnifiedVectorFormat::GetData<int8_t>(kinds);
    auto* sequence = UnifiedVectorFormat::GetData<int64_t>(sequences);
    for (idx_t i = 0; i < chunk.size(); i++) {
      idx_t k = kinds.sel->get_index(i), s = sequences.sel->get_index(i);
      if (!kinds.validity.RowIsValid(k) || kind[k] < 0 || kind[k] > 3) {
        Say(problems, said_kind_,
            fmt::format("row {} has no row kind", rows_ + static_cast<int64_t>(i)));
        continue;
      }
      deletes_ += IsAdd(static_cast<RowKind>(kind[k])) ? 0 : 1;
      if (!sequences.validity.RowIsValid(s)) {
        Say(problems, said_kind_,
            fmt::format("row {} has no sequence number", rows_ + static_cast<int64_t>(i)));
        continue;
      }
      min_sequence_ = std::min(min_sequence_, sequence[s]);
      max_sequence_ = std::max(max_sequence_, sequence[s]);
    }
  }

  void LookAtBuckets(DataChunk& chunk, std::vector<std::string>& problems) {
    HashRows(bucket_types_, chunk, bucket_key_, hashes_);
    for (idx_t i = 0; i < chunk.size(); i++) {
      int bucket = BucketOf(hashes_[i], entry_.total_buckets);
      if (bucket == entry_.bucket) continue;
      Say(problems, said_bucket_,
          fmt::format("row {} with {} belongs to bucket {}, not {}",
                      rows_ + static_cast<int64_t>(i), KeyAt(chunk, bucket_key_, i), bucket,
                      entry_.bucket));
    }
  }

  const ManifestEntry& entry_;
  const bool changelog_;
  std::vector<idx_t> key_, bucket_key_;
  std::vector<DataType> bucket_types_;
  idx_t first_field_ = 0;
  int64_t rows_ = 0, deletes_ = 0;
  int64_t min_sequence_ = INT64_MAX, max_sequence_ = INT64_MIN;
  std::string last_key_;
  std::vector<int32_t> hashes_;
  bool said_order_ = false, said_copy_ = false, said_kind_ = false, said_bucket_ = false;
};

}  // namespace

void FileVerifier::CheckData(const ManifestEntry& entry, std::vector<Finding>& findings) {
  Check(entry, false, findings);
}

void FileVerifier::CheckChangelog(const ManifestEntry& entry, std::vector<Finding>& findings) {
  Check(entry, true, findings);
}

void FileVerifier::Check(const ManifestEntry& entry, bool changelog,
                         std::vector<Finding>& findings) {
  std::string folder = table_.BucketFolder(entry.partition, entry.bucket);
  std::string path = DataFilePath(folder, entry.file);
  auto [known, is_new] = checked_.try_emplace(path, entry);
  ManifestEntry told = entry;
  told.kind = known->second.kind;
  told.file.level = known->second.file.level;  // A file may be lifted; all else is told for good.
  if (!is_new && known->second == told) return;
  known->second = told;
  size_t before = findings.size();
  CheckFile(path, entry.file.file_size, findings);
  for (const std::string& extra : entry.file.extra_files) {
    std::string extra_path = JoinPath(path.substr(0, path.rfind('/')), extra);
    if (SizeOf(extra_path)) continue;
    findings.push_back({Finding::Severity::kError, Short(extra_path),
                        fmt::format("is missing; it belongs to {}", entry.file.file_name)});
  }
  if (full_ && findings.size() == before) CheckContent(entry, path, changelog, findings);
}

void FileVerifier::CheckFile(const std::string& path, int64_t size,
                             std::vector<Finding>& findings) {
  std::optional<int64_t> found = SizeOf(path);
  if (!found) {
    findings.push_back({Finding::Severity::kError, Short(path), "is missing"});
  } else if (*found != size) {
    findings.push_back({Finding::Severity::kError, Short(path),
                        fmt::format("has {} bytes; its metadata says {}", *found, size)});
  }
}

FileVerifier::Content FileVerifier::ReadContent(const ManifestEntry& entry,
                                                const TableSchema& schema, const std::string& path,
                                                bool changelog) const {
  bool keyed = table_.HasPrimaryKey();
  std::vector<FileColumn> columns;
  std::vector<idx_t> key;
  if (keyed) {
    key = schema.TrimmedPrimaryKey();
    columns = KeyValueColumns(schema.fields, key);
  } else {
    for (const DataField& field : schema.fields) {
      columns.push_back({field.name, field.type, field.id});
    }
  }
  ParquetFileReader reader(table_.context.database, table_.context.files, path, columns);
  DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), reader.Types());
  RowChecks checks(schema, entry, keyed, changelog);
  FileIndexChecks indexes(table_, path.substr(0, path.rfind('/')), entry.file, schema);
  StatsCollector values(TypesOf(schema.fields), -1);
  Content content;
  std::vector<DataType> key_types;
  for (idx_t column : key) key_types.push_back(schema.fields[column].type);
  StatsCollector keys(key_types, -1);
  auto key_of = [&](idx_t row) {
    std::vector<Value> out;
    for (idx_t column : key) out.push_back(chunk.GetValue(checks.first_field() + column, row));
    return out;
  };
  for (chunk.Reset(); reader.Next(chunk); chunk.Reset()) {
    if (chunk.size() == 0) continue;
    checks.Look(chunk, content.problems);
    indexes.Look(chunk, checks.first_field());
    values.Add(chunk, checks.first_field());
    for (idx_t i = 0; i < key.size(); i++) {
      keys.AddColumn(i, chunk.data[checks.first_field() + key[i]], chunk.size());
    }
    if (content.rows == 0) content.first_key = key_of(0);
    content.last_key = key_of(chunk.size() - 1);
    content.rows += static_cast<int64_t>(chunk.size());
  }
  for (const std::string& problem : indexes.problems()) content.problems.push_back(problem);
  content.deletes = checks.deletes();
  content.min_sequence = checks.min_sequence();
  content.max_sequence = checks.max_sequence();
  content.value_stats = values.Finish();
  content.key_stats = keys.Finish();
  return content;
}

namespace {

/// The columns of a file that have statistics, by the names that its metadata gives.
std::vector<idx_t> CoveredColumns(const DataFileMeta& file, const TableSchema& schema) {
  std::vector<idx_t> columns;
  for (idx_t i = 0; i < schema.fields.size(); i++) {
    const auto& named = file.value_stats_columns;
    if (!named || std::find(named->begin(), named->end(), schema.fields[i].name) != named->end()) {
      columns.push_back(i);
    }
  }
  return columns;
}

/// The statistics of some of `schema`'s columns.
SimpleStats Choose(const SimpleStats& all, const TableSchema& schema,
                   const std::vector<idx_t>& columns) {
  std::vector<DataType> all_types = TypesOf(schema.fields), types;
  std::vector<Value> least = DecodeRow(all_types, all.min_values), chosen_least;
  std::vector<Value> greatest = DecodeRow(all_types, all.max_values), chosen_greatest;
  SimpleStats chosen;
  for (idx_t column : columns) {
    types.push_back(all_types[column]);
    chosen_least.push_back(least[column]);
    chosen_greatest.push_back(greatest[column]);
    chosen.null_counts.push_back(all.null_counts[column]);
  }
  chosen.min_values = EncodeRow(types, chosen_least);
  chosen.max_values = EncodeRow(types, chosen_greatest);
  return chosen;
}

void CompareColumns(const char* what, const TableSchema& schema, const std::vector<idx_t>& columns,
                    const SimpleStats& recorded, const SimpleStats& truth,
                    std::vector<std::string>& problems) {
  std::vector<std::string> names;
  std::vector<DataType> types;
  for (idx_t column : columns) {
    names.push_back(schema.fields[column].name);
    types.push_back(schema.fields[column].type);
  }
  CompareStats(what, names, types, recorded, truth, problems);
}

}  // namespace

void FileVerifier::CompareCounts(const DataFileMeta& file, Content& content) const {
  if (content.rows != file.row_count) {
    content.problems.push_back(
        fmt::format("has {} rows; its metadata says {}", content.rows, file.row_count));
  }
  if (!table_.HasPrimaryKey() || content.rows == 0) return;
  if (file.delete_row_count && content.deletes != *file.delete_row_count) {
    content.problems.push_back(fmt::format("has {} rows that delete; its metadata says {}",
                                           content.deletes, *file.delete_row_count));
  }
  if (content.min_sequence != file.min_sequence_number ||
      content.max_sequence != file.max_sequence_number) {
    content.problems.push_back(fmt::format(
        "has sequence numbers from {} to {}; its metadata says {} to {}", content.min_sequence,
        content.max_sequence, file.min_sequence_number, file.max_sequence_number));
  }
}

void FileVerifier::CompareKeys(const DataFileMeta& file, const TableSchema& schema,
                               Content& content) const {
  if (!table_.HasPrimaryKey()) return;
  std::vector<idx_t> key = schema.TrimmedPrimaryKey();
  CompareColumns("key statistics", schema, key, file.key_stats, content.key_stats,
                 content.problems);
  if (content.rows == 0) return;
  std::vector<DataType> types;
  for (idx_t column : key) types.push_back(schema.fields[column].type);
  std::vector<Value> least = DecodeRow(types, file.min_key);
  std::vector<Value> greatest = DecodeRow(types, file.max_key);
  if (least == content.first_key && greatest == content.last_key) return;
  content.problems.push_back(fmt::format("has keys from {} to {}; its metadata says {} to {}",
                                         KeyText(content.first_key), KeyText(content.last_key),
                                         KeyText(least), KeyText(greatest)));
}

void FileVerifier::ComparePartition(const ManifestEntry& entry, const TableSchema& schema,
                                    Content& content) const {
  std::vector<idx_t> columns = schema.PartitionColumns();
  if (columns.empty() || content.rows == 0) return;
  std::vector<Value> partition = DecodeRow(PartitionTypes(schema), entry.partition);
  std::vector<DataType> types = TypesOf(schema.fields);
  std::vector<Value> least = DecodeRow(types, content.value_stats.min_values);
  std::vector<Value> greatest = DecodeRow(types, content.value_stats.max_values);
  for (idx_t i = 0; i < columns.size(); i++) {
    const Value &first = least[columns[i]], &last = greatest[columns[i]];
    bool no_bounds = first.IsNull() && last.IsNull();  // All null, or a type without.
    if (no_bounds || (first == partition[i] && last == partition[i])) continue;
    content.problems.push_back(fmt::format("holds rows with '{}' from {} to {} in partition {}",
                                           schema.fields[columns[i]].name, first.ToString(),
                                           last.ToString(), partition[i].ToString()));
  }
}

void FileVerifier::CheckContent(const ManifestEntry& entry, const std::string& path, bool changelog,
                                std::vector<Finding>& findings) {
  Content content;
  try {
    std::shared_ptr<const TableSchema> schema = table_.schemas.Get(entry.file.schema_id);
    content = ReadContent(entry, *schema, path, changelog);
    CompareCounts(entry.file, content);
    std::vector<idx_t> covered = CoveredColumns(entry.file, *schema);
    CompareColumns("statistics", *schema, covered, entry.file.value_stats,
                   Choose(content.value_stats, *schema, covered), content.problems);
    CompareKeys(entry.file, *schema, content);
    ComparePartition(entry, *schema, content);
  } catch (const std::exception& exception) {  // Also of DuckDB's Parquet reader.
    Error error = ErrorFrom(exception, ErrorCode::kCorrupt);
    if (error.code() == ErrorCode::kIo || error.code() == ErrorCode::kCancelled) throw error;
    content.problems.push_back(error.text());
  }
  for (std::string& problem : content.problems) {
    findings.push_back({Finding::Severity::kError, Short(path), std::move(problem)});
  }
}

std::optional<int64_t> FileVerifier::SizeOf(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string folder = path.substr(0, slash);
  auto [listing, is_new] = listings_.try_emplace(folder);
  if (is_new) {
    for (const FileEntry& entry : table_.context.files.List(folder)) {
      if (!entry.is_folder) listing->second[entry.name] = entry.size;
    }
  }
  auto found = listing->second.find(path.substr(slash + 1));
  return found == listing->second.end() ? std::nullopt : std::optional(found->second);
}

void FileVerifier::Forget() {
  listings_.clear();
  checked_.clear();
}

std::string FileVerifier::Short(const std::string& path) const {
  std::string prefix = table_.folder + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

}  // namespace millrace
