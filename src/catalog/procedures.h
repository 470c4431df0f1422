// procedures.h - `CALL sys.name(...)`: maintenance of lake tables, with Paimon's names and
// arguments.
//
// A procedure is an entry of a table: its name, its arguments with their types, the columns it
// returns, and a function. Arguments come by position or by name (`=>`); binding checks them.
// Names: Paimon's classes in flink/procedure.
#pragma once

#include "catalog/catalog_store.h"

namespace millrace {

/// Boxed: procedures return a handful of rows.
using ProcedureRows = std::vector<std::vector<Value>>;

/// One argument as written: `name` is empty for a positional one.
struct GivenArgument {
  std::string name;
  Value value;
};

/// What a call has: its arguments by name (absent and NULL ones are not there) and where it runs.
struct ProcedureCall {
  CatalogStore& store;
  TableContext context;
  std::string database;   // Current: for tables named without one.
  std::string time_zone;  // Of the session, in which times are told.
  std::map<std::string, Value> arguments;

  bool Has(const std::string& name) const { return arguments.contains(name); }
  std::string Text(const std::string& name, const std::string& fallback = "") const;
  std::optional<int64_t> Long(const std::string& name) const;
  bool Bool(const std::string& name, bool fallback) const;
  /// "2024-01-31 12:00:00" in the session's zone, as Unix milliseconds.
  std::optional<int64_t> Time(const std::string& name) const;
  /// "7 d" in milliseconds.
  std::optional<int64_t> Duration(const std::string& name) const;
  /// The table of argument `table`, "db.t" or "t", with options "k=v,k2=v2" of argument `options`
  /// and `more`.
  std::shared_ptr<const Table> OpenTable(const Options& more = {}) const;
};

enum class ArgumentType : uint8_t { kText, kLong, kBool };

struct ProcedureArgument {
  const char* name;
  ArgumentType type;
  bool required;
};

struct Procedure {
  const char* name;
  std::vector<ProcedureArgument> arguments;
  std::vector<std::pair<const char*, LogicalType>> columns;  // Of the rows it returns.
  ProcedureRows (*run)(const ProcedureCall& call);
  bool repeats = false;  // The last argument may come many times: a ';' goes between.
};

/// All procedures, by name.
const std::vector<const Procedure*>& Procedures();
/// Throws: Error(kNotFound) with a near name; Error(kUnsupported) for those of Paimon's that
/// Millrace has not, saying why.
const Procedure& NeedProcedure(const std::string& name);
/// Puts arguments into their places, with their types. Throws: Error(kInvalid) naming the argument
/// and showing how the procedure is called.
std::map<std::string, Value> BindArguments(const Procedure& procedure,
                                           const std::vector<GivenArgument>& given);

// Procedures by subject.
const std::vector<Procedure>& TagProcedures();        // procedures_tags.cc
const std::vector<Procedure>& HistoryProcedures();    // procedures_history.cc
const std::vector<Procedure>& CompactProcedures();    // procedures_compact.cc
const std::vector<Procedure>& PartitionProcedures();  // procedures_partitions.cc

}  // namespace millrace
