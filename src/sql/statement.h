// statement.h - what the Flink SQL dialect can say, parsed; queries inside are DuckDB SQL text
// already.
//
// Our own lexer keeps positions and hints; expression text is rewritten to forms that DuckDB's
// parser takes (dialect.h). Names are resolved later, by the session.
#pragma once

#include <variant>

#include "meta/table_definition.h"
#include "sql/dml_statement.h"

namespace millrace {

/// Line and column, from 1, of a statement or token in its script.
struct SourcePosition {
  int line = 1;
  int column = 1;
};

/// A query (SELECT, VALUES, WITH, set operations) as DuckDB text. A table with an OPTIONS hint
/// stands in it as "name$options{json}", with its name as alias: the catalog reads the options from
/// there.
struct QueryText {
  std::string duck_sql;
};

struct CreateCatalog {
  std::string name;
  Options options;
  bool if_not_exists = false;
};
struct CreateDatabase {
  QualifiedName name;
  Options options;
  std::string comment;
  bool if_not_exists = false;
};
struct CreateTable {
  QualifiedName name;
  TableDefinition definition;  // path.name only; the session fills in the rest.
  bool if_not_exists = false;
  bool or_replace = false;
  bool must_exist = false;            // REPLACE TABLE.
  std::optional<QualifiedName> like;  // CREATE TABLE t LIKE s.
  LikeRules like_rules;
  std::optional<QueryText> as_query;  // CREATE TABLE t AS SELECT.
};
struct CreateView {
  QualifiedName name;
  std::vector<std::string> columns;
  QueryText query;
  std::string original;  // As the user wrote it.
  bool temporary = false, if_not_exists = false, or_replace = false;
};
enum class ObjectKind : uint8_t { kCatalog, kDatabase, kTable, kView };
struct Drop {
  ObjectKind kind;
  QualifiedName name;
  bool if_exists = false, cascade = false, temporary = false;
};
struct Use {
  bool catalog = false;
  QualifiedName name;
};
enum class ShowWhat : uint8_t {
  kCatalogs,
  kDatabases,
  kTables,
  kViews,
  kFunctions,
  kJobs,
  kProcedures,
  kTags,
  kCurrentCatalog,
  kCurrentDatabase,
  kCheckpoints,  // OF JOB, which `name` names.
  kCreateTable,
  kCreateView
};
struct Show {
  ShowWhat what;
  QualifiedName name;
  std::optional<std::string> like;
};
struct Describe {
  QualifiedName name;
};
struct Insert {
  QualifiedName target;
  Options hint;                                         // INSERT INTO t /*+ OPTIONS(...) */
  std::vector<std::string> columns;                     // Empty: all, by position.
  std::map<std::string, std::string> static_partition;  // PARTITION (k='v'): DuckDB literal text.
  bool overwrite = false;
  QueryText query;
  std::string original;
};
struct StatementSet {
  std::vector<Insert> inserts;
};
/// What stands between two commas of a SELECT.
struct SelectItem {
  std::string text;       // As written, white space made one blank.
  std::string last_name;  // Its last token without quotes: the alias, if it has one.
};
struct Query {
  QueryText query;
  std::vector<SelectItem> items;  // Empty when they are not known one by one (a star, VALUES).
};
struct Explain {
  std::string kind;
  std::vector<Insert> inserts;
  std::optional<QueryText> query;
  std::string job;  // EXPLAIN ANALYZE JOB: its name or id.
};
struct Set {
  std::optional<std::string> key;
  std::string value;
};  // No key: list all.
struct Reset {
  std::optional<std::string> key;
};  // No key: all.
struct StopJob {
  std::string job;
  bool drain = false;
};  // WITH DRAIN: first read all that is there.
/// CHECK VIEW t: the table that a job keeps up to date against its query in batch.
struct CheckView {
  QualifiedName name;
};
/// VERIFY TABLE t [FULL].
struct Verify {
  QualifiedName name;
  bool full = false;
};
/// ANALYZE TABLE t COMPUTE STATISTICS [FOR COLUMNS a, b | FOR ALL COLUMNS].
struct Analyze {
  QualifiedName name;
  std::vector<std::string> columns;
  bool all_columns = false;
};
/// CALL [catalog.]sys.name(value, name => value, ...).
struct Call {
  struct Argument {
    std::string name;  // "": by position.
    std::string duck_sql;
  };
  QualifiedName procedure;
  std::vector<Argument> arguments;
};
/// ALTER TABLE t CREATE | REPLACE | RENAME | DELETE TAG.
struct AlterTag {
  enum class Action : uint8_t { kCreate, kCreateOrReplace, kReplace, kRename, kDelete };
  QualifiedName table;
  Action action = Action::kCreate;
  std::string tag;
  std::string new_name;  // kRename.
  std::optional<int64_t> snapshot_id, retained_ms;
  bool lenient = false;  // IF NOT EXISTS, IF EXISTS.
};
struct DuckStatement {
  std::string sql;
};  // Handed to DuckDB as it is.

using StatementBody =
    std::variant<CreateCatalog, CreateDatabase, CreateTable, CreateView, Drop, Use, Show, Describe,
                 Insert, StatementSet, Query, Explain, Set, Reset, StopJob, CheckView, Verify,
                 Analyze, Call, AlterTag, DuckStatement, DeleteRows, UpdateRows, MergeInto,
                 TruncateTable, AlterTable, AlterView>;

struct Statement {
  StatementBody body;
  SourcePosition position;  // Of its first token.
  std::string text;         // As written, without the final ';'.
};

/// A statement of a script, not yet parsed: the dialect may change between two.
struct StatementText {
  std::string text;
  SourcePosition position;
  bool complete = true;  // False: no ';' yet (the shell asks for more).
};

/// Cuts a script at ';' outside quotes and comments; `EXECUTE STATEMENT SET BEGIN ... END;` and
/// `BEGIN STATEMENT SET; ... END;` stay whole.
std::vector<StatementText> SplitScript(std::string_view script);

/// Parses one statement of the Flink dialect.
/// Throws: Error(kSyntax) "line L, column C, near 'text': what was expected".
Statement ParseStatement(const StatementText& text);

/// The DuckDB text of a Flink expression or query: back-ticks, types, literals, INTERVAL forms,
/// functions with special syntax. Positions stay close to the original. Throws: Error(kSyntax).
std::string ToDuckSql(std::string_view flink_sql, SourcePosition start = {});

}  // namespace millrace
