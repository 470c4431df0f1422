#include "table/merge_options.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "lsm/column_merger.h"
#include "meta/options.h"

namespace millrace {

namespace {

using duckdb::StringUtil;

constexpr const char* kDefaultFunction = "fields.default-aggregate-function";

// Functions that Paimon has and Millrace has not.
constexpr const char* kForeignFunctions[] = {"merge_map_with_keytime",
                                             "nested_partial_update",
                                             "hll_sketch",
                                             "theta_sketch",
                                             "rbm32",
                                             "rbm64"};

std::string FieldOption(const std::string& field, const char* what) {
  return "fields." + field + "." + what;
}

/// "fields.a,b.sequence-group" -> {"a", "b"}; nullopt for other options.
std::optional<std::vector<std::string>> FieldsOf(const std::string& option, const char* what) {
  std::string prefix = "fields.";
  std::string suffix = std::string(".") + what;
  if (!option.starts_with(prefix) || !option.ends_with(suffix) ||
      option.size() <= prefix.size() + suffix.size()) {
    return std::nullopt;
  }
  Options names = {
      {"n", option.substr(prefix.size(), option.size() - prefix.size() - suffix.size())}};
  return GetList(names, "n");
}

idx_t RequireField(const TableSchema& schema, const std::string& option, const std::string& name) {
  std::vector<std::string> known;
  for (idx_t i = 0; i < schema.fields.size(); i++) {
    if (schema.fields[i].name == name) return i;
    known.push_back(schema.fields[i].name);
  }
  Throw(ErrorCode::kInvalid, "Option '{}' names column '{}', which the table has not{}.", option,
        name, DidYouMean(name, known));
}

bool IsKey(const TableSchema& schema, const std::string& name) {
  return std::find(schema.primary_keys.begin(), schema.primary_keys.end(), name) !=
         schema.primary_keys.end();
}

/// Reads the options of one table.
class Reader {
 public:
  Reader(const TableSchema& schema, const Options& options) : schema_(schema), options_(options) {}

  MergeSpec Read() {
    std::string engine = GetChoice(options_, "merge-engine", "deduplicate",
                                   {"deduplicate", "first-row", "partial-update", "aggregation"});
    spec_.engine = engine == "first-row"        ? MergeEngine::kFirstRow
                   : engine == "partial-update" ? MergeEngine::kPartialUpdate
                   : engine == "aggregation"    ? MergeEngine::kAggregation
                                                : MergeEngine::kDeduplicate;
    for (const char* name : {"partial-update.ignore-delete", "deduplicate.ignore-delete",
                             "first-row.ignore-delete", "ignore-delete"}) {
      spec_.ignore_delete = GetBool(options_, name, spec_.ignore_delete);
    }
    spec_.whole_above_level0 =
        GetBool(options_, "force-lookup", false) ||
        GetBool(options_, "deletion-vectors.enabled", false) ||
        StringUtil::Lower(GetString(options_, "changelog-producer", "none")) == "lookup";
    CheckFieldNames();
    if (spec_.engine == MergeEngine::kAggregation) ReadAggregation();
    if (spec_.engine == MergeEngine::kPartialUpdate) ReadPartialUpdate();
    CheckTypes();
    return std::move(spec_);
  }

 private:
  void CheckFieldNames() const {
    for (const auto& [option, value] : options_) {
      for (const char* what : {"aggregate-function", "ignore-retract", "distinct", "sequence-group",
                               "list-agg-delimiter", "nested-key", "count-limit", "stats-mode"}) {
        auto names = FieldsOf(option, what);
        if (!names || option == kDefaultFunction) continue;
        for (const std::string& name : *names) RequireField(schema_, option, name);
      }
    }
  }

  ColumnMerge ReadColumn(idx_t index, std::optional<Aggregate> aggregate) const {
    const std::string& name = schema_.fields[index].name;
    ColumnMerge merge;
    if (aggregate) merge.aggregate = *aggregate;
    merge.ignore_retract = GetBool(options_, FieldOption(name, "ignore-retract"), false);
    merge.distinct = GetBool(options_, FieldOption(name, "distinct"), false);
    merge.delimiter = GetString(options_, FieldOption(name, "list-agg-delimiter"), ",");
    merge.count_limit = GetInt(options_, FieldOption(name, "count-limit"), INT32_MAX);
    std::string nested = FieldOption(name, "nested-key");
    for (const std::string& member : GetList(options_, nested)) {
      merge.nested_key.push_back(RequireMember(index, nested, member));
    }
    if (merge.ignore_retract && spec_.remove_on_delete &&
        spec_.engine == MergeEngine::kAggregation) {
      Conflict("aggregation.remove-record-on-delete", FieldOption(name, "ignore-retract"));
    }
    return merge;
  }

  idx_t RequireMember(idx_t index, const std::string& option, const std::string& member) const {
    const DataType& type = schema_.fields[index].type;
    if (type.root == TypeRoot::kArray && type.children[0].root == TypeRoot::kRow) {
      const auto& fields = type.children[0].fields;
      for (idx_t i = 0; i < fields.size(); i++) {
        if (fields[i].name == member) return i;
      }
    }
    Throw(ErrorCode::kInvalid, "Option '{}' names '{}', which is no field of the rows in {}.",
          option, member, type.ToString());
  }

  /// What the options say about a column that is neither key nor sequence.
  std::optional<Aggregate> NamedFunction(const std::string& field) const {
    std::string option = FieldOption(field, "aggregate-function");
    auto found = options_.find(option);
    if (found == options_.end()) found = options_.find(option = kDefaultFunction);
    if (found == options_.end()) return std::nullopt;
    std::string name = found->second;
    StringUtil::Trim(name);
    auto aggregate = FindAggregate(name);
    if (aggregate) return aggregate;
    std::vector<std::string> known;
    for (int i = static_cast<int>(Aggregate::kSum); i <= static_cast<int>(Aggregate::kNestedUpdate);
         i++) {
      known.emplace_back(AggregateName(static_cast<Aggregate>(i)));
    }
    if (name == "count") {
      Throw(ErrorCode::kInvalid,
            "Option '{}' cannot be 'count': there is no such function of tables. Write 1 for each "
            "row and use 'sum'.",
            option);
    }
    Throw(ErrorCode::kInvalid, "Option '{}' cannot be '{}'{}. There are {}.", option, name,
          DidYouMean(name, known), fmt::join(known, ", "));
  }

  void ReadAggregation() {
    spec_.remove_on_delete = GetBool(options_, "aggregation.remove-record-on-delete", false);
    std::vector<idx_t> sequence = ParseSequenceFields(schema_, options_);
    for (idx_t i = 0; i < schema_.fields.size(); i++) {
      const std::string& name = schema_.fields[i].name;
      Aggregate aggregate = Aggregate::kLastNonNullValue;
      if (std::find(sequence.begin(), sequence.end(), i) != sequence.end()) {
        aggregate = Aggregate::kLastValue;
      } else if (IsKey(schema_, name)) {
        aggregate = Aggregate::kKey;
      } else if (auto named = NamedFunction(name)) {
        aggregate = *named;
      }
      spec_.columns.push_back(ReadColumn(i, aggregate));
    }
  }

  void ReadPartialUpdate() {
    spec_.remove_on_delete = GetBool(options_, "partial-update.remove-record-on-delete", false);
    std::vector<bool> is_sequence(schema_.fields.size()), in_group(schema_.fields.size());
    for (const auto& [option, value] : options_) {
      if (auto names = FieldsOf(option, "sequence-group")) {
        ReadSequenceGroup(option, *names, is_sequence, in_group);
      }
    }
    ReadRemovingGroups();
    if (spec_.remove_on_delete && spec_.ignore_delete) {
      Conflict("partial-update.remove-record-on-delete", "ignore-delete");
    }
    if (spec_.remove_on_delete && !spec_.groups.empty()) {
      Conflict("partial-update.remove-record-on-delete", "fields.<f>.sequence-group");
    }
    for (idx_t i = 0; i < schema_.fields.size(); i++) {
      const std::string& name = schema_.fields[i].name;
      std::optional<Aggregate> aggregate;
      if (IsKey(schema_, name)) {
        aggregate = Aggregate::kKey;
      } else if (!is_sequence[i]) {
        aggregate = NamedFunction(name);
        if (aggregate && *aggregate != Aggregate::kLastNonNullValue && !in_group[i]) {
          Throw(ErrorCode::kInvalid,
                "Option 'fields.{}.aggregate-function' = '{}': with merge engine 'partial-update' "
                "only columns of a sequence group can be aggregated; add '{}' to one "
                "('fields.<sequence column>.sequence-group').",
                name, AggregateName(*aggregate), name);
        }
      }
      spec_.columns.push_back(ReadColumn(i, aggregate));
    }
  }

  void ReadSequenceGroup(const std::string& option, const std::vector<std::string>& names,
                         std::vector<bool>& is_sequence, std::vector<bool>& in_group) {
    SequenceGroup group;
    auto add = [&](const std::string& name, std::vector<idx_t>& to) {
      idx_t index = RequireField(schema_, option, name);
      if (IsKey(schema_, name)) {
        Throw(ErrorCode::kInvalid,
              "Option '{}' names primary key column '{}', which cannot be in a sequence group.",
              option, name);
      }
      if (is_sequence[index] || in_group[index]) {
        Throw(ErrorCode::kInvalid, "Option '{}' names column '{}', which is in a group already.",
              option, name);
      }
      to.push_back(index);
    };
    for (const std::string& name : names) add(name, group.sequence);
    for (idx_t index : group.sequence) is_sequence[index] = true;
    for (const std::string& name : GetList(options_, option)) {
      add(name, group.columns);
      in_group[group.columns.back()] = true;
    }
    spec_.groups.push_back(std::move(group));
  }

  void ReadRemovingGroups() {
    constexpr const char* kOption = "partial-update.remove-record-on-sequence-group";
    for (const std::string& name : GetList(options_, kOption)) {
      idx_t index = RequireField(schema_, kOption, name);
      bool found = false;
      for (SequenceGroup& group : spec_.groups) {
        if (std::find(group.sequence.begin(), group.sequence.end(), index) ==
            group.sequence.end()) {
          continue;
        }
        group.removes_row = found = true;
      }
      if (!found) {
        Throw(ErrorCode::kInvalid,
              "Option '{}' names column '{}', which is the sequence of no sequence group.", kOption,
              name);
      }
      if (spec_.ignore_delete) Conflict(kOption, "ignore-delete");
    }
  }

  /// Makes the function once: it refuses columns that it does not take.
  void CheckTypes() const {
    if (spec_.ChoosesRows()) return;
    for (idx_t i = 0; i < schema_.fields.size(); i++) {
      (void)MakeColumnMerger(schema_.fields[i], spec_.columns[i]);
    }
  }

  [[noreturn]] void Conflict(const std::string& one, const std::string& other) const {
    Throw(ErrorCode::kInvalid, "Options '{}' and '{}' contradict each other: use one of them.", one,
          other);
  }

  const TableSchema& schema_;
  const Options& options_;
  MergeSpec spec_;
};

bool CanRetract(const ColumnMerge& merge) {
  switch (merge.aggregate) {
    case Aggregate::kMax:
    case Aggregate::kMin:
    case Aggregate::kFirstValue:
    case Aggregate::kFirstNonNullValue:
    case Aggregate::kListagg:
    case Aggregate::kBoolAnd:
    case Aggregate::kBoolOr:
      return merge.ignore_retract;
    default:
      return true;
  }
}

}  // namespace

MergeSpec ParseMergeSpec(const TableSchema& schema, const Options& options) {
  return Reader(schema, options).Read();
}

std::vector<idx_t> ParseSequenceFields(const TableSchema& schema, const Options& options) {
  std::vector<idx_t> fields;
  for (const std::string& name : GetList(options, "sequence.field")) {
    idx_t index = RequireField(schema, "sequence.field", name);
    if (std::find(fields.begin(), fields.end(), index) != fields.end()) {
      Throw(ErrorCode::kInvalid, "Option 'sequence.field' names column '{}' twice.", name);
    }
    if (options.contains(FieldOption(name, "aggregate-function"))) {
      Throw(ErrorCode::kInvalid,
            "Option 'fields.{}.aggregate-function': column '{}' is a 'sequence.field', which is "
            "not aggregated.",
            name, name);
    }
    fields.push_back(index);
  }
  return fields;
}

std::optional<idx_t> ParseRowKindField(const TableSchema& schema, const Options& options) {
  auto found = options.find("rowkind.field");
  if (found == options.end()) return std::nullopt;
  idx_t index = RequireField(schema, "rowkind.field", found->second);
  const DataType& type = schema.fields[index].type;
  if (type.root != TypeRoot::kVarChar && type.root != TypeRoot::kChar) {
    Throw(ErrorCode::kInvalid,
          "Option 'rowkind.field' names column '{}' of type {}: a row kind is a STRING, such as "
          "'+I'.",
          found->second, type.ToString());
  }
  return index;
}

std::optional<std::string> FindUnsupportedAggregate(const TableSchema& schema,
                                                    const Options& options) {
  std::vector<std::string> names = {kDefaultFunction};
  for (const DataField& field : schema.fields) {
    names.push_back(FieldOption(field.name, "aggregate-function"));
  }
  for (const std::string& name : names) {
    auto found = options.find(name);
    if (found == options.end()) continue;
    for (const char* foreign : kForeignFunctions) {
      if (found->second != foreign) continue;
      return fmt::format("option '{}' = '{}' is not supported yet; use another function", name,
                         foreign);
    }
  }
  return std::nullopt;
}

std::optional<std::string> WhyNoRetraction(const MergeSpec& spec, const TableSchema& schema,
                                           bool is_delete) {
  if (spec.ignore_delete) return std::nullopt;
  switch (spec.engine) {
    case MergeEngine::kDeduplicate:
      return std::nullopt;
    case MergeEngine::kFirstRow:
      return "merge engine 'first-row' takes inserts only; set 'ignore-delete' = 'true' to leave "
             "deletes out";
    case MergeEngine::kPartialUpdate:
      if (spec.remove_on_delete || !spec.groups.empty()) break;
      return "merge engine 'partial-update' needs 'ignore-delete' = 'true' to leave deletes out, "
             "'partial-update.remove-record-on-delete' = 'true' to remove rows, or sequence groups "
             "to take columns back";
    case MergeEngine::kAggregation:
      if (spec.remove_on_delete && is_delete) return std::nullopt;
      break;
  }
  for (idx_t i = 0; i < spec.columns.size(); i++) {
    if (CanRetract(spec.columns[i])) continue;
    return fmt::format(
        "aggregate function '{}' of column '{}' cannot take a deleted row back; set "
        "'fields.{}.ignore-retract' = 'true' to leave deletes out of it",
        AggregateName(spec.columns[i].aggregate), schema.fields[i].name, schema.fields[i].name);
  }
  return std::nullopt;
}

}  // namespace millrace
