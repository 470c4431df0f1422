// merge_query.cc - MERGE INTO as a join of target and source.
//
// Each side carries a mark (row id, source mark) that is NULL where the join found no partner. The
// first column chooses the clause; DuckDB lets the others refer to it by its alias.
#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "session/assignment.h"
#include "session/row_changes.h"
#include "sql/lexer.h"

namespace millrace {

namespace {

constexpr const char* kClause = "_millrace_clause";
constexpr const char* kSourceMark = "_millrace_source";

class MergeQuery {
 public:
  MergeQuery(const MergeInto& merge, const RowChangeContext& context)
      : merge_(merge), context_(context) {
    for (idx_t i : context.target.PhysicalColumns()) columns_.push_back(context.target.columns[i]);
    from_ = " FROM " + TargetText(merge.target, context) + " " + JoinKind() +
            " JOIN (SELECT *, TRUE AS " + QuoteName(kSourceMark) + " FROM " + SourceText() +
            ") AS " + QuoteName(merge.source_alias) + " ON (" + merge.condition + ")";
  }

  RowChangeQuery Build() {
    RowChangeQuery query;
    std::vector<std::map<std::string, std::string>> values;
    for (const MergeClause& clause : merge_.clauses) {
      query.clauses.push_back(ActionOf(clause));
      values.push_back(ValuesOf(clause));
    }
    query.duck_sql = "SELECT " + ClauseText() + " AS " + QuoteName(kClause) + ", " + RowId();
    for (const ColumnDefinition& column : columns_) {
      query.duck_sql += ", " + ColumnValue(column, values);
    }
    query.duck_sql += from_ + " WHERE " + QuoteName(kClause) + " IS NOT NULL";
    return query;
  }

 private:
  std::string RowId() const { return Target(context_.row_id); }
  std::string Target(const std::string& column) const {
    return QuoteName(merge_.target.alias) + "." + QuoteName(column);
  }
  std::string Source(const std::string& column) const {
    return QuoteName(merge_.source_alias) + "." + QuoteName(column);
  }
  std::string SourceText() const {
    std::string text = merge_.source + " AS " + QuoteName(merge_.source_alias);
    std::string names;
    for (const std::string& name : merge_.source_columns) {
      names += (names.empty() ? "" : ", ") + QuoteName(name);
    }
    return names.empty() ? text : text + "(" + names + ")";
  }

  bool Has(MergeClause::Case when) const {
    return std::any_of(merge_.clauses.begin(), merge_.clauses.end(),
                       [&](const MergeClause& clause) { return clause.when == when; });
  }

  /// Sides whose lonely rows some clause wants are kept.
  std::string JoinKind() const {
    bool target = Has(MergeClause::Case::kNotMatchedBySource);
    bool source = Has(MergeClause::Case::kNotMatched);
    if (target && source) return "FULL";
    return target ? "LEFT" : source ? "RIGHT" : "INNER";
  }

  static RowAction ActionOf(const MergeClause& clause) {
    switch (clause.action) {
      case MergeClause::Action::kInsert:
        return RowAction::kInsert;
      case MergeClause::Action::kDelete:
        return RowAction::kDelete;
      default:
        return RowAction::kUpdate;
    }
  }

  std::string ClauseText() const {
    std::string text = "CASE";
    for (idx_t i = 0; i < merge_.clauses.size(); i++) {
      const MergeClause& clause = merge_.clauses[i];
      bool target = clause.when != MergeClause::Case::kNotMatched;
      bool source = clause.when != MergeClause::Case::kNotMatchedBySource;
      text += " WHEN " + RowId() + (target ? " IS NOT NULL AND " : " IS NULL AND ") +
              Source(kSourceMark) + (source ? " IS NOT NULL" : " IS NULL");
      if (clause.condition) text += " AND (" + *clause.condition + ")";
      text += " THEN " + std::to_string(i) + "::TINYINT";
    }
    return text + " END";
  }

  std::string ColumnValue(const ColumnDefinition& column,
                          const std::vector<std::map<std::string, std::string>>& values) const {
    std::string cases;
    for (idx_t i = 0; i < values.size(); i++) {
      auto value = values[i].find(column.name);
      if (value == values[i].end()) continue;
      cases += " WHEN " + std::to_string(i) + " THEN " + value->second;
    }
    if (cases.empty()) return Target(column.name);
    return "CASE " + QuoteName(kClause) + cases + " ELSE " + Target(column.name) + " END";
  }

  /// New values by column; columns that are not there keep theirs.
  std::map<std::string, std::string> ValuesOf(const MergeClause& clause) {
    std::map<std::string, std::string> values;
    if (clause.action == MergeClause::Action::kDelete) return values;
    bool insert = clause.action == MergeClause::Action::kInsert;
    std::vector<Assignment> assignments = clause.star ? StarOf(insert) : clause.assignments;
    if (insert) NameByPosition(assignments);
    duckdb::vector<LogicalType> types = TypesOf(context_, assignments, from_);
    for (idx_t i = 0; i < assignments.size(); i++) {
      // SET * names the key too; where rows match by it, it stays what it is.
      const ColumnDefinition& column =
          AssignedColumn(context_, assignments[i].column, insert || clause.star);
      if (values.contains(column.name)) {
        Throw(ErrorCode::kInvalid, "{}: column '{}' is given twice", context_.doing, column.name);
      }
      values[column.name] = AssignedText("(" + assignments[i].expression + ")", types[i], column,
                                         context_.doing, context_.casts);
    }
    if (!insert) return values;
    for (const ColumnDefinition& column : columns_) {
      values.try_emplace(column.name, AbsentText(column));
    }
    return values;
  }

  /// UPDATE SET *, INSERT *: the source's columns of the target's names.
  std::vector<Assignment> StarOf(bool insert) {
    duckdb::vector<std::string> source = context_.names_of("SELECT * FROM " + SourceText());
    std::vector<Assignment> assignments;
    for (const ColumnDefinition& column : columns_) {
      auto found = std::find_if(source.begin(), source.end(), [&](const std::string& name) {
        return duckdb::StringUtil::CIEquals(name, column.name);
      });
      if (found == source.end()) {
        Throw(ErrorCode::kInvalid, "{}: the source has no column '{}', which {} * needs{}",
              context_.doing, column.name, insert ? "INSERT" : "UPDATE SET",
              DidYouMean(column.name, source));
      }
      bool in_key =
          std::find(context_.target.primary_key.begin(), context_.target.primary_key.end(),
                    column.name) != context_.target.primary_key.end();
      if (in_key && !insert && !MatchesByKey(column.name, *found)) {
        (void)AssignedColumn(context_, column.name, false);
      }
      if (in_key && !insert) continue;
      assignments.push_back({column.name, Source(*found)});
    }
    return assignments;
  }

  /// Whether the condition says `target.key = source.key`, in whatever spelling.
  bool MatchesByKey(const std::string& key, const std::string& source_key) const {
    auto bare = [](std::string text) {
      std::erase_if(text, [](char c) { return c == ' ' || c == '"' || c == '\n' || c == '\t'; });
      return duckdb::StringUtil::Lower(text);
    };
    std::string condition = bare(merge_.condition);
    std::string left = bare(merge_.target.alias + "." + key);
    std::string right = bare(merge_.source_alias + "." + source_key);
    return condition.find(left + "=" + right) != std::string::npos ||
           condition.find(right + "=" + left) != std::string::npos;
  }

  /// INSERT VALUES (..) without names means all columns.
  void NameByPosition(std::vector<Assignment>& assignments) const {
    if (assignments.empty() || !assignments[0].column.empty()) return;
    if (assignments.size() != columns_.size()) {
      Throw(ErrorCode::kInvalid, "{}: INSERT gives {} values, the table has {} columns",
            context_.doing, assignments.size(), columns_.size());
    }
    for (idx_t i = 0; i < columns_.size(); i++) assignments[i].column = columns_[i].name;
  }

  const MergeInto& merge_;
  const RowChangeContext& context_;
  std::vector<ColumnDefinition> columns_;
  std::string from_;
};

}  // namespace

RowChangeQuery QueryOf(const MergeInto& statement, const RowChangeContext& context) {
  return MergeQuery(statement, context).Build();
}

}  // namespace millrace
