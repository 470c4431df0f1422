// dml_statement.h - statements that change rows or tables that exist. Texts are DuckDB's already.
#pragma once

#include "meta/schema_change.h"

namespace millrace {

/// One to three parts, back-ticks removed.
using QualifiedName = std::vector<std::string>;

/// `column = expression`.
struct Assignment {
  std::string column;
  std::string expression;
};

/// The table whose rows a statement changes.
struct DmlTarget {
  QualifiedName name;
  Options hint;
  std::string alias;  // What expressions call it; its own name when they give none.
};

struct DeleteRows {
  DmlTarget target;
  std::optional<std::string> condition;
  std::string original;
};

struct UpdateRows {
  DmlTarget target;
  std::vector<Assignment> assignments;
  std::optional<std::string> condition;
  std::string original;
};

/// One WHEN of a MERGE. Of several for one case the first whose condition holds acts.
struct MergeClause {
  enum class Case : uint8_t { kMatched, kNotMatched, kNotMatchedBySource } when;
  enum class Action : uint8_t { kUpdate, kDelete, kInsert } action;
  std::optional<std::string> condition = {};
  bool star = false;  // UPDATE SET *, INSERT *: the source's columns by name.
  std::vector<Assignment> assignments = {};
};

struct MergeInto {
  DmlTarget target;
  std::string source;  // A table or a query in parentheses.
  std::string source_alias;
  std::vector<std::string> source_columns;  // AS s (a, b): empty when it has names.
  std::string condition;
  std::vector<MergeClause> clauses;
  std::string original;
};

/// What CREATE TABLE .. LIKE takes over of the other table, by Flink's words; its default is
/// INCLUDING ALL OVERWRITING OPTIONS.
enum class LikeRule : uint8_t { kIncluding, kExcluding, kOverwriting };
struct LikeRules {
  LikeRule constraints = LikeRule::kIncluding;
  LikeRule generated = LikeRule::kIncluding;
  LikeRule metadata = LikeRule::kIncluding;
  LikeRule options = LikeRule::kOverwriting;
  LikeRule partitions = LikeRule::kIncluding;
  LikeRule watermarks = LikeRule::kIncluding;
};

/// PARTITION (k = v, ...): DuckDB literal texts by column.
using PartitionText = std::map<std::string, std::string>;

struct TruncateTable {
  QualifiedName name;
};

/// ALTER TABLE in all its forms; of the last three fields at most one is set.
struct AlterTable {
  QualifiedName name;
  bool if_exists = false;
  std::vector<SchemaChange> changes;
  std::vector<ColumnDefinition> computed;        // ADD or MODIFY column AS expression.
  std::optional<WatermarkDefinition> watermark;  // ADD or MODIFY WATERMARK.
  bool drop_watermark = false;
  std::optional<QualifiedName> rename_to;
  std::vector<PartitionText> drop_partitions;
  bool drop_partitions_if_exist = false;
};

struct AlterView {
  QualifiedName name;
  QualifiedName rename_to;
};

}  // namespace millrace
