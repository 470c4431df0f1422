#include "catalog/procedures.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "meta/options.h"
#include "table/scan_start.h"

namespace millrace {

namespace {

using duckdb::StringUtil;

/// Paimon's that are not here, and what to do instead.
struct Absent {
  const char* name;
  const char* instead;
};

constexpr Absent kAbsent[] = {
    {"create_branch", "branches are not supported"},
    {"delete_branch", "branches are not supported"},
    {"rename_branch", "branches are not supported"},
    {"fast_forward", "branches are not supported"},
    {"rewrite_file_index", "file indexes are written with the data; compact the table"},
    {"migrate_table", "Millrace has no Hive metastore; INSERT the rows into a new table"},
    {"migrate_database", "Millrace has no Hive metastore; INSERT the rows into new tables"},
    {"migrate_iceberg_table", "INSERT the rows into a new table"},
    {"refresh_object_table", "only ordinary tables can be used"},
    {"merge_into", "there is a statement MERGE INTO"},
    {"query_service", "Millrace has no such service"},
    {"clone", "CREATE TABLE ... AS SELECT copies a table"}};

std::string TypeText(ArgumentType type) {
  return type == ArgumentType::kText   ? "STRING"
         : type == ArgumentType::kLong ? "BIGINT"
                                       : "BOOLEAN";
}

/// "CALL sys.create_tag(table => STRING, tag => STRING [, snapshot_id => BIGINT])".
std::string Usage(const Procedure& procedure) {
  std::string text;
  for (const ProcedureArgument& argument : procedure.arguments) {
    std::string one = fmt::format("{} => {}", argument.name, TypeText(argument.type));
    bool first = text.empty();
    text += argument.required ? (first ? "" : ", ") + one : (first ? " [" : " [, ") + one + "]";
  }
  return fmt::format("CALL sys.{}({}{})", procedure.name, text, procedure.repeats ? ", ..." : "");
}

[[noreturn]] void Fail(const Procedure& procedure, const std::string& problem) {
  Throw(ErrorCode::kInvalid, "Calling sys.{}: {}; it is called as {}", procedure.name, problem,
        Usage(procedure));
}

const ProcedureArgument& FindArgument(const Procedure& procedure, const std::string& name) {
  std::vector<std::string> known;
  for (const ProcedureArgument& argument : procedure.arguments) {
    if (StringUtil::CIEquals(argument.name, name)) return argument;
    known.push_back(argument.name);
  }
  Fail(procedure, fmt::format("it has no argument '{}'{}", name, DidYouMean(name, known)));
}

/// The value in the argument's type; nothing is cast that could lose something.
Value InType(const Procedure& procedure, const ProcedureArgument& argument, const Value& value) {
  LogicalType wanted = argument.type == ArgumentType::kText   ? LogicalType::VARCHAR
                       : argument.type == ArgumentType::kLong ? LogicalType::BIGINT
                                                              : LogicalType::BOOLEAN;
  bool is_text = value.type().id() == LogicalTypeId::VARCHAR;
  bool fits = argument.type == ArgumentType::kText   ? is_text
              : argument.type == ArgumentType::kLong ? value.type().IsIntegral() || is_text
                                                     : value.type() == wanted || is_text;
  Value cast;
  std::string message;
  Value source = value;
  if (!fits || !source.DefaultTryCastAs(wanted, cast, &message)) {
    Fail(procedure, fmt::format("argument '{}' is {} and cannot be {}", argument.name,
                                TypeText(argument.type), value.ToSQLString()));
  }
  return cast;
}

/// One more value of the last argument.
void AppendText(const Procedure& procedure, const Value& value,
                std::map<std::string, Value>& bound) {
  const ProcedureArgument& last = procedure.arguments.back();
  auto first = bound.find(last.name);
  if (value.IsNull() || first == bound.end()) {
    Fail(procedure, fmt::format("argument '{}' is NULL", last.name));
  }
  std::string text = duckdb::StringValue::Get(InType(procedure, last, value));
  first->second = Value(duckdb::StringValue::Get(first->second) + ";" + text);
}

}  // namespace

std::string ProcedureCall::Text(const std::string& name, const std::string& fallback) const {
  auto found = arguments.find(name);
  return found == arguments.end() ? fallback : duckdb::StringValue::Get(found->second);
}

std::optional<int64_t> ProcedureCall::Long(const std::string& name) const {
  auto found = arguments.find(name);
  if (found == arguments.end()) return std::nullopt;
  return found->second.GetValue<int64_t>();
}

bool ProcedureCall::Bool(const std::string& name, bool fallback) const {
  auto found = arguments.find(name);
  return found == arguments.end() ? fallback : duckdb::BooleanValue::Get(found->second);
}

std::optional<int64_t> ProcedureCall::Time(const std::string& name) const {
  if (!Has(name)) return std::nullopt;
  return ParseTimestampMs(context.database, fmt::format("Argument '{}'", name), Text(name),
                          time_zone);
}

std::optional<int64_t> ProcedureCall::Duration(const std::string& name) const {
  if (!Has(name)) return std::nullopt;
  return ParseDurationMs(fmt::format("Argument '{}'", name), Text(name));
}

std::shared_ptr<const Table> ProcedureCall::OpenTable(const Options& more) const {
  std::string name = Text("table");
  std::string in_database = database;
  size_t point = name.find('.');
  if (point != std::string::npos) {
    in_database = name.substr(0, point);
    name = name.substr(point + 1);
  }
  if (!store.HasDatabase(in_database)) {
    Throw(ErrorCode::kNotFound, "Catalog '{}' has no database '{}'{}", store.Name(), in_database,
          DidYouMean(in_database, store.Databases()));
  }
  std::shared_ptr<const TableDefinition> definition = store.FindTable(in_database, name);
  if (!definition) {
    Throw(ErrorCode::kNotFound, "There is no table '{}.{}.{}'{}", store.Name(), in_database, name,
          DidYouMean(name, store.Tables(in_database)));
  }
  Options options = definition->options;
  auto folder = options.extract(kPathOption);
  if (folder.empty()) {
    Throw(ErrorCode::kInvalid, "'{}.{}' is no lake table", in_database, name);
  }
  for (const std::string& pair : GetList(Options{{"options", Text("options")}}, "options")) {
    size_t equals = pair.find('=');
    if (equals == std::string::npos) {
      Throw(ErrorCode::kInvalid, "Argument 'options': '{}' is not of the form key=value", pair);
    }
    options[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  for (const auto& [key, value] : more) options[key] = value;
  return Table::Open(context, folder.mapped(), WithoutScanOptions(std::move(options)));
}

const std::vector<const Procedure*>& Procedures() {
  static const std::vector<const Procedure*> all = [] {
    std::vector<const Procedure*> found;
    for (const auto* group :
         {&TagProcedures(), &HistoryProcedures(), &CompactProcedures(), &PartitionProcedures()}) {
      for (const Procedure& procedure : *group) found.push_back(&procedure);
    }
    std::sort(found.begin(), found.end(), [](const Procedure* a, const Procedure* b) {
      return std::string_view(a->name) < std::string_view(b->name);
    });
    return found;
  }();
  return all;
}

const Procedure& NeedProcedure(const std::string& name) {
  std::vector<std::string> known;
  for (const Procedure* procedure : Procedures()) {
    if (StringUtil::CIEquals(procedure->name, name)) return *procedure;
    known.push_back(procedure->name);
  }
  for (const Absent& absent : kAbsent) {
    if (!StringUtil::CIEquals(absent.name, name)) continue;
    Throw(ErrorCode::kUnsupported, "Procedure sys.{} is not supported: {}", absent.name,
          absent.instead);
  }
  std::string near = DidYouMean(name, known);
  Throw(ErrorCode::kNotFound, "There is no procedure sys.{}{}", name,
        near.empty() ? "; SHOW PROCEDURES lists them" : near);
}

std::map<std::string, Value> BindArguments(const Procedure& procedure,
                                           const std::vector<GivenArgument>& given) {
  std::map<std::string, Value> bound;
  std::map<std::string, bool> seen;
  size_t position = 0;
  bool named = false;
  for (const GivenArgument& argument : given) {
    if (argument.name.empty()) {
      if (named) Fail(procedure, "an argument without a name comes after one with a name");
      bool again = procedure.repeats && position == procedure.arguments.size();
      if (again) {
        AppendText(procedure, argument.value, bound);
        continue;
      }
      if (position >= procedure.arguments.size()) {
        Fail(procedure, fmt::format("it takes {} arguments, {} are given",
                                    procedure.arguments.size(), given.size()));
      }
    }
    named = named || !argument.name.empty();
    const ProcedureArgument& place = argument.name.empty() ? procedure.arguments[position++]
                                                           : FindArgument(procedure, argument.name);
    if (seen[place.name]) {
      Fail(procedure, fmt::format("argument '{}' is given twice", place.name));
    }
    seen[place.name] = true;
    // As in Flink, '' stands for an argument that is left out.
    bool empty = argument.value.type().id() == LogicalTypeId::VARCHAR && !argument.value.IsNull() &&
                 duckdb::StringValue::Get(argument.value).empty();
    if (argument.value.IsNull() || (empty && !place.required)) continue;
    bound[place.name] = InType(procedure, place, argument.value);
  }
  for (const ProcedureArgument& argument : procedure.arguments) {
    if (argument.required && !bound.contains(argument.name)) {
      Fail(procedure, fmt::format("argument '{}' is missing", argument.name));
    }
  }
  return bound;
}

}  // namespace millrace
