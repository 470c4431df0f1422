// schema.cc - a table's columns and keys, and the making of a first schema from CREATE TABLE.
#include "meta/schema.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "meta/nested_change.h"
#include "meta/options.h"

namespace millrace {

namespace {

// Columns that Paimon adds to data files or reserves (SpecialFields.java).
constexpr const char* kReservedNames[] = {"_SEQUENCE_NUMBER", "_VALUE_KIND", "_LEVEL", "rowkind",
                                          "_ROW_ID"};
constexpr const char* kKeyPrefix = "_KEY_";

constexpr int64_t kDynamicBucket = -1;
constexpr int64_t kPostponeBucket = -2;

bool IsNested(const DataType& type) {
  return type.root == TypeRoot::kArray || type.root == TypeRoot::kMap ||
         type.root == TypeRoot::kMultiset || type.root == TypeRoot::kRow;
}

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Checks what CREATE TABLE says against what Paimon's readers and writers rely on.
class SchemaChecker {
 public:
  SchemaChecker(const TableSchema& schema, std::string doing)
      : schema_(schema), doing_(std::move(doing)) {}

  void Check() {
    CheckColumns();
    CheckKeys("PRIMARY KEY", schema_.primary_keys);
    CheckKeys("PARTITIONED BY", schema_.partition_keys);
    bool only_partition = !schema_.primary_keys.empty() && schema_.TrimmedPrimaryKey().empty();
    if (only_partition) {
      Fail(
          "the primary key has no column besides the partition columns; add one that tells rows "
          "apart");
    }
    CheckBuckets();
    CheckMergeOptions();
  }

 private:
  void CheckColumns() {
    if (schema_.fields.empty()) Fail("a table needs at least one column");
    std::vector<std::string> seen;
    for (const DataField& field : schema_.fields) {
      if (field.name.empty()) Fail("a column has no name");
      if (Contains(seen, field.name)) Fail(fmt::format("column '{}' is there twice", field.name));
      seen.push_back(field.name);
      bool reserved = field.name.starts_with(kKeyPrefix);
      for (const char* name : kReservedNames) reserved = reserved || field.name == name;
      if (field.default_value) CheckDefault(field);
      if (reserved)
        Fail(fmt::format("column name '{}' is reserved by the table format", field.name));
    }
  }

  void CheckDefault(const DataField& field) {
    try {
      (void)DefaultValueOf(field.type, *field.default_value);
    } catch (const Error& error) {
      Fail(fmt::format("the default of column '{}': {}", field.name, error.text()));
    }
  }

  void CheckKeys(const char* clause, const std::vector<std::string>& names) {
    std::vector<std::string> seen;
    for (const std::string& name : names) {
      CheckColumn(clause, name);
      if (Contains(seen, name)) Fail(fmt::format("{} has column '{}' twice", clause, name));
      seen.push_back(name);
      const DataType& type = schema_.fields[*schema_.FindField(name)].type;
      if (IsNested(type)) {
        Fail(fmt::format("{} column '{}' has the nested type {}", clause, name, type.ToString()));
      }
    }
  }

  void CheckColumn(const std::string& where, const std::string& name) {
    if (schema_.FindField(name)) return;
    std::vector<std::string> names;
    for (const DataField& field : schema_.fields) names.push_back(field.name);
    Fail(fmt::format("{} names column '{}', which the table has not{}", where, name,
                     DidYouMean(name, names)));
  }

  void CheckBuckets() {
    bool keyed = !schema_.primary_keys.empty();
    int64_t bucket = GetInt(schema_.options, "bucket", kDynamicBucket);
    if (bucket == 0 || bucket < kPostponeBucket || bucket > INT32_MAX) {
      Fail(fmt::format("option 'bucket' = '{}': a positive number, -1 or -2 is expected", bucket));
    }
    std::vector<std::string> bucket_key = GetList(schema_.options, "bucket-key");
    CheckKeys("option 'bucket-key'", bucket_key);
    std::vector<idx_t> trimmed = schema_.TrimmedPrimaryKey();
    for (const std::string& name : bucket_key) {
      idx_t column = *schema_.FindField(name);
      if (keyed && std::find(trimmed.begin(), trimmed.end(), column) == trimmed.end()) {
        Fail(fmt::format(
            "option 'bucket-key' names column '{}', which is not in the primary key (without "
            "partition columns)",
            name));
      }
    }
    if (bucket == kPostponeBucket && !keyed) Fail("option 'bucket' = '-2' needs a primary key");
    if (bucket == kDynamicBucket && !bucket_key.empty()) {
      Fail("option 'bucket-key' needs a positive 'bucket'");
    }
    if (bucket > 0 && !keyed && bucket_key.empty()) {
      Fail("a table without primary key and with 'bucket' > 0 needs option 'bucket-key'");
    }
    if (bucket <= 0 || !keyed) return;
    for (const std::string& name : schema_.partition_keys) {
      if (!Contains(schema_.primary_keys, name)) {
        Fail(fmt::format(
            "partition column '{}' is not in the primary key: add it there, or set 'bucket' = "
            "'-1'",
            name));
      }
    }
  }

  void CheckMergeOptions() {
    const Options& options = schema_.options;
    std::string engine = GetChoice(options, "merge-engine", "deduplicate",
                                   {"deduplicate", "partial-update", "aggregation", "first-row"});
    std::string producer = GetChoice(options, "changelog-producer", "none",
                                     {"none", "input", "full-compaction", "lookup"});
    if (producer != "none" && schema_.primary_keys.empty()) {
      Fail(fmt::format("option 'changelog-producer' = '{}' needs a primary key", producer));
    }
    std::vector<std::string> sequence = GetList(options, "sequence.field");
    for (const std::string& name : sequence) CheckColumn("option 'sequence.field'", name);
    if (engine == "first-row" && !sequence.empty()) {
      Fail("option 'sequence.field' does not go with 'merge-engine' = 'first-row'");
    }
    if (engine == "first-row" && producer != "none" && producer != "lookup") {
      Fail(fmt::format(
          "'merge-engine' = 'first-row' goes with 'changelog-producer' = 'none' or 'lookup', "
          "not '{}'",
          producer));
    }
    std::string rowkind = GetString(options, "rowkind.field", "");
    if (!rowkind.empty()) CheckColumn("option 'rowkind.field'", rowkind);
    for (const auto& [name, value] : options) {
      if (!name.starts_with("fields.") || name.starts_with("fields.default-")) continue;
      // fields.<column>.<function>; several columns, with commas, are a sequence group.
      size_t dot = name.rfind('.');
      if (dot < 7) continue;
      for (const std::string& column : GetList({{"columns", name.substr(7, dot - 7)}}, "columns")) {
        CheckColumn(fmt::format("option '{}'", name), column);
      }
    }
  }

  [[noreturn]] void Fail(const std::string& found) const {
    Throw(ErrorCode::kInvalid, "{}: {}", doing_, found);
  }

  const TableSchema& schema_;
  std::string doing_;
};

/// Takes a key from the option of that name, as Paimon does, when DDL has none.
void KeyFromOption(TableSchema& schema, const char* option, std::vector<std::string>& key,
                   const std::string& table) {
  if (schema.options.count(option) == 0) return;
  if (!key.empty()) {
    Throw(ErrorCode::kInvalid,
          "Creating table '{}': the {} is given both as a clause and as an option", table, option);
  }
  key = GetList(schema.options, option);
  schema.options.erase(option);
}

}  // namespace

std::optional<idx_t> TableSchema::FindField(const std::string& name) const {
  for (idx_t i = 0; i < fields.size(); i++) {
    if (fields[i].name == name) return i;
  }
  return std::nullopt;
}

std::vector<idx_t> TableSchema::TrimmedPrimaryKey() const {
  std::vector<idx_t> columns;
  for (const std::string& name : primary_keys) {
    if (Contains(partition_keys, name)) continue;
    if (std::optional<idx_t> column = FindField(name)) columns.push_back(*column);
  }
  return columns;
}

std::vector<idx_t> TableSchema::PartitionColumns() const {
  std::vector<idx_t> columns;
  for (const std::string& name : partition_keys) {
    if (std::optional<idx_t> column = FindField(name)) columns.push_back(*column);
  }
  return columns;
}

std::vector<idx_t> TableSchema::BucketKey() const {
  std::vector<idx_t> columns;
  for (const std::string& name : GetList(options, "bucket-key")) {
    std::optional<idx_t> column = FindField(name);
    if (!column) {
      Throw(ErrorCode::kInvalid, "Option 'bucket-key' names column '{}', which the table has not",
            name);
    }
    columns.push_back(*column);
  }
  return columns.empty() ? TrimmedPrimaryKey() : columns;
}

duckdb::vector<LogicalType> TableSchema::DuckTypes() const {
  duckdb::vector<LogicalType> types;
  for (const DataField& field : fields) types.push_back(field.type.ToDuck());
  return types;
}

duckdb::vector<std::string> TableSchema::Names() const {
  duckdb::vector<std::string> names;
  for (const DataField& field : fields) names.push_back(field.name);
  return names;
}

TableSchema MakeSchema(const TableDefinition& definition, int64_t time_ms) {
  std::string table = definition.path.ToString();
  TableSchema schema;
  schema.options = definition.options;
  schema.options.erase("path");  // Where a table lies is not part of it.
  schema.partition_keys = definition.partition_keys;
  schema.primary_keys = definition.primary_key;
  schema.comment = definition.comment;
  schema.time_ms = time_ms;
  KeyFromOption(schema, "primary-key", schema.primary_keys, table);
  KeyFromOption(schema, "partition", schema.partition_keys, table);
  for (idx_t i : definition.PhysicalColumns()) {
    const ColumnDefinition& column = definition.columns[i];
    DataField field;
    field.id = ++schema.highest_field_id;
    field.name = column.name;
    field.type = column.type;
    field.description = column.comment;
    field.default_value = column.default_value;
    AssignNestedIds(field.type, schema.highest_field_id);
    if (Contains(schema.primary_keys, field.name)) field.type.nullable = false;
    schema.fields.push_back(std::move(field));
  }
  CheckSchema(schema, fmt::format("Creating table '{}'", table));
  return schema;
}

void CheckSchema(const TableSchema& schema, const std::string& doing) {
  SchemaChecker(schema, doing).Check();
}

Value DefaultValueOf(const DataType& type, const std::string& text) {
  std::string bare = text;
  if (bare.size() >= 2 && bare.front() == '\'' && bare.back() == '\'') {
    bare = duckdb::StringUtil::Replace(bare.substr(1, bare.size() - 2), "''", "'");
  }
  Value value;
  std::string message;
  if (!Value(bare).DefaultTryCastAs(type.ToDuck(), value, &message, true)) {
    Throw(ErrorCode::kInvalid, "{} is no value of type {}", text, type.ToString());
  }
  return value;
}

}  // namespace millrace
