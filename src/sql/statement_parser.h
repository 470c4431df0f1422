// statement_parser.h - recursive descent over the tokens of one statement.
//
// Expressions and queries are not parsed, only delimited and rewritten (rewriter.h); DuckDB's
// binder judges them. What cannot start or continue a statement fails at its token, with what was
// expected.
#pragma once

#include "sql/rewriter.h"

namespace millrace {

/// Parses one statement.
///
/// Threads: one at a time, one statement each. Throws: Error(kSyntax), Error(kUnsupported).
class StatementParser {
 public:
  explicit StatementParser(const StatementText& text);

  Statement Parse();

 private:
  // Tokens.
  const Token& Peek(idx_t ahead = 0) const;
  bool AtEnd() const { return Peek().kind == TokenKind::kEnd; }
  bool IsNext(std::string_view words) const;  // "STATEMENT SET": all of them.
  bool Accept(std::string_view words);
  void Expect(std::string_view words, const std::string& context);
  bool AcceptSymbol(std::string_view symbol);
  void ExpectSymbol(std::string_view symbol, const std::string& context);
  [[noreturn]] void Fail(const std::string& expectation) const;
  [[noreturn]] void FailUnsupported(const std::string& what) const;
  std::string Name(const std::string& what);
  QualifiedName Path(const std::string& what);
  std::string String(const std::string& what);
  std::vector<std::string> NameList(const std::string& what);
  Options OptionList(const std::string& context);  // ('k' = 'v', ...)
  bool IfNotExists();
  std::string Comment();  // [COMMENT 'text']
  void End(const std::string& after);
  QueryText RestAsQuery();
  Query QueryStatement();
  std::vector<SelectItem> SelectItems() const;
  bool StartsQuery(idx_t ahead = 0) const;

  // Statements.
  StatementBody Body();
  StatementBody Create();
  StatementBody CreateTableStatement(bool temporary, bool or_replace);
  void TableElements(TableDefinition& table);
  void TableElement(TableDefinition& table);
  void ColumnConstraints(TableDefinition& table, ColumnDefinition& column);
  void Watermark(TableDefinition& table);
  void PrimaryKey(TableDefinition& table, std::vector<std::string> columns);
  void Like(CreateTable& create);
  void LikeOption(LikeRules& rules);
  /// Up to a comma, a closing bracket or COMMENT, rewritten; `text`: as it stands there.
  std::string ElementExpression(std::string& text);
  DataType Type();
  StatementBody CreateViewStatement(bool temporary, bool or_replace);
  StatementBody DropStatement();
  StatementBody UseStatement();
  StatementBody ShowStatement();
  StatementBody DescribeStatement();
  Insert InsertStatement(bool inside_set);
  StatementSet StatementSetBody(bool begin_first);
  StatementBody ExplainStatement();
  StatementBody SetStatement();
  StatementBody ResetStatement();
  StatementBody StopStatement();
  StatementBody CheckStatement();  // maintenance_parser.cc
  StatementBody VerifyStatement();
  StatementBody AnalyzeStatement();
  StatementBody CallStatement();
  std::optional<StatementBody> AlterTagStatement();
  std::string TagName();
  int64_t WholeNumber(const std::string& what);
  // alter_parser.cc
  StatementBody AlterStatement();
  void AlterAction(AlterTable& alter);
  void AlterAdd(AlterTable& alter);
  void AlterModify(AlterTable& alter);
  void AlterElement(AlterTable& alter, bool modify, bool if_not_exists);
  void AlterDrop(AlterTable& alter);
  void AlterRename(AlterTable& alter);
  void AlterColumn(AlterTable& alter);
  ColumnPath ColumnName();
  std::optional<ColumnPosition> Position();
  std::optional<std::string> DefaultValue();
  PartitionText PartitionValues();  // (k = v, ...)

  // dml_parser.cc
  StatementBody TruncateStatement();
  StatementBody DeleteStatement();
  StatementBody UpdateStatement();
  StatementBody MergeStatement();
  MergeClause WhenClause(const MergeInto& merge);
  void InsertValues(MergeClause& clause);
  /// A table to change, and its alias unless one of `next_words` follows.
  DmlTarget Target(std::initializer_list<std::string_view> next_words);
  std::string Alias(const std::string& fallback,
                    std::initializer_list<std::string_view> next_words);
  std::string Expression(std::initializer_list<std::string_view> stops, bool at_comma,
                         const std::string& what);
  std::vector<Assignment> Assignments(const DmlTarget& target,
                                      std::initializer_list<std::string_view> stops);
  std::optional<std::string> Where();

  StatementBody HandOver();  // To DuckDB, rewritten.
  [[noreturn]] void UnknownStatement() const;

  std::string text_;
  TokenList list_;
  Rewriter rewriter_;
  SourcePosition position_;
  idx_t at_ = 0;
};

}  // namespace millrace
