// CREATE CATALOG, DATABASE, TABLE and VIEW.
#include "base/error.h"
#include "sql/statement_parser.h"

namespace millrace {

StatementBody StatementParser::Create() {
  if (Accept("CATALOG")) {
    CreateCatalog create;
    create.if_not_exists = IfNotExists();
    create.name = Name("the name of a catalog");
    (void)Comment();
    if (Accept("WITH")) create.options = OptionList("after WITH");
    End("CREATE CATALOG");
    return create;
  }
  if (Accept("DATABASE")) {
    CreateDatabase create;
    create.if_not_exists = IfNotExists();
    create.name = Path("the name of a database");
    create.comment = Comment();
    if (Accept("WITH")) create.options = OptionList("after WITH");
    End("CREATE DATABASE");
    return create;
  }
  bool or_replace = Accept("OR REPLACE");
  bool temporary = Accept("TEMPORARY");
  if (Accept("VIEW")) return CreateViewStatement(temporary, or_replace);
  if (Accept("TABLE")) return CreateTableStatement(temporary, or_replace);
  for (const char* word :
       {"MACRO", "SEQUENCE", "TYPE", "INDEX", "SECRET", "SCHEMA", "UNIQUE", "TEMP", "PERSISTENT"}) {
    if (!IsNext(word)) continue;
    Fail(
        fmt::format("CREATE {} is a statement of DuckDB's, not of Flink SQL; for DuckDB's parser: "
                    "SET 'table.sql-dialect' = 'duckdb'",
                    word));
  }
  Fail("expected CATALOG, DATABASE, [TEMPORARY] TABLE or [TEMPORARY] VIEW after CREATE" +
       (Peek().IsName()
            ? DidYouMean(Peek().value, {"CATALOG", "DATABASE", "TABLE", "VIEW", "TEMPORARY"})
            : ""));
}

StatementBody StatementParser::CreateTableStatement(bool temporary, bool or_replace) {
  CreateTable create;
  create.or_replace = or_replace;
  create.if_not_exists = !or_replace && IfNotExists();
  create.name = Path("the name of a table");
  TableDefinition& table = create.definition;
  table.path.name = create.name.back();
  table.temporary = temporary;
  if (Peek().IsSymbol("(")) TableElements(table);
  table.comment = Comment();
  if (IsNext("DISTRIBUTED")) {
    FailUnsupported("DISTRIBUTED BY is not supported; use the options 'bucket' and 'bucket-key'");
  }
  if (Accept("PARTITIONED BY")) table.partition_keys = NameList("the name of a partition column");
  if (Accept("WITH")) table.options = OptionList("after WITH");
  if (Accept("LIKE")) Like(create);
  if (Accept("AS")) create.as_query = RestAsQuery();
  if (!AtEnd()) {
    Fail(
        "expected the end of the statement, COMMENT, PARTITIONED BY, WITH, LIKE or AS, in this "
        "order" +
        (Peek().IsName()
             ? DidYouMean(Peek().value, {"COMMENT", "PARTITIONED", "WITH", "LIKE", "AS"})
             : ""));
  }
  return create;
}

void StatementParser::Like(CreateTable& create) {
  create.like = Path("the name of the table to take after");
  if (!AcceptSymbol("(")) return;
  while (!AcceptSymbol(")")) LikeOption(create.like_rules);
}

void StatementParser::LikeOption(LikeRules& rules) {
  LikeRule rule = LikeRule::kIncluding;
  if (Accept("EXCLUDING"))
    rule = LikeRule::kExcluding;
  else if (Accept("OVERWRITING"))
    rule = LikeRule::kOverwriting;
  else
    Expect("INCLUDING", ", EXCLUDING or OVERWRITING");
  struct Part {
    const char* word;
    LikeRule LikeRules::* rule;
    bool may_overwrite;
  };
  static constexpr Part kParts[] = {{"CONSTRAINTS", &LikeRules::constraints, false},
                                    {"GENERATED", &LikeRules::generated, true},
                                    {"METADATA", &LikeRules::metadata, true},
                                    {"OPTIONS", &LikeRules::options, true},
                                    {"PARTITIONS", &LikeRules::partitions, false},
                                    {"WATERMARKS", &LikeRules::watermarks, true}};
  bool all = Accept("ALL");
  bool found = all;
  for (const Part& part : kParts) {
    bool named = !all && Accept(part.word);
    if (named && rule == LikeRule::kOverwriting && !part.may_overwrite) {
      Fail(fmt::format("{} can be INCLUDING or EXCLUDING only", part.word));
    }
    if (all || named) rules.*part.rule = rule;
    found = found || named;
  }
  if (all && rule == LikeRule::kOverwriting) {
    rules.constraints = rules.partitions = LikeRule::kIncluding;
  }
  if (!found) {
    Fail("expected ALL, CONSTRAINTS, GENERATED, METADATA, OPTIONS, PARTITIONS or WATERMARKS");
  }
}

void StatementParser::TableElements(TableDefinition& table) {
  ExpectSymbol("(", "before the columns");
  if (AcceptSymbol(")")) return;
  do {
    TableElement(table);
  } while (AcceptSymbol(","));
  if (!Peek().IsSymbol(")")) {
    Fail("expected ',' or ')' after the column '" +
         (table.columns.empty() ? "" : table.columns.back().name) + "'" +
         (Peek().IsName() ? DidYouMean(Peek().value, {"NOT", "NULL", "PRIMARY", "CONSTRAINT",
                                                      "COMMENT", "METADATA"})
                          : ""));
  }
  at_++;
  for (const std::string& key : table.primary_key) {
    for (ColumnDefinition& column : table.columns) {
      if (column.name == key)
        column.type.nullable = false;  // As in Flink: a key column is NOT NULL.
    }
  }
}

void StatementParser::TableElement(TableDefinition& table) {
  if (IsNext("WATERMARK FOR")) return Watermark(table);
  if (IsNext("PRIMARY KEY") || (IsNext("CONSTRAINT") && Peek(2).IsWord("PRIMARY"))) {
    if (Accept("CONSTRAINT")) (void)Name("the name of a constraint");
    Expect("PRIMARY KEY", "after the name of a constraint");
    PrimaryKey(table, NameList("the name of a key column"));
    return;
  }
  if (IsNext("UNIQUE") && Peek(1).IsSymbol("("))
    FailUnsupported("UNIQUE constraints are not supported");
  ColumnDefinition column;
  idx_t name_at = at_;
  column.name = Name("the name of a column, PRIMARY KEY, CONSTRAINT or WATERMARK FOR");
  for (const ColumnDefinition& other : table.columns) {
    if (other.name == column.name)
      ThrowSyntaxAt(list_, name_at, "the column '" + column.name + "' is defined twice");
  }
  if (Accept("AS")) {
    column.computed = ElementExpression(column.computed_text);
  } else {
    column.type = Type();
    ColumnConstraints(table, column);
  }
  column.comment = Comment();
  table.columns.push_back(std::move(column));
}

void StatementParser::ColumnConstraints(TableDefinition& table, ColumnDefinition& column) {
  while (true) {
    if (Accept("METADATA")) {
      column.metadata = Accept("FROM") ? String("the key of the metadata") : column.name;
      (void)Accept("VIRTUAL");
    } else if (Accept("NOT NULL")) {
      column.type.nullable = false;
    } else if (Accept("NULL")) {
      column.type.nullable = true;
    } else if (IsNext("PRIMARY KEY") || IsNext("CONSTRAINT")) {
      if (Accept("CONSTRAINT")) (void)Name("the name of a constraint");
      Expect("PRIMARY KEY", "after the name of a constraint");
      column.type.nullable = false;
      PrimaryKey(table, {column.name});
    } else if (Accept("DEFAULT")) {
      column.default_value = DefaultValue();
    } else {
      return;
    }
  }
}

void StatementParser::PrimaryKey(TableDefinition& table, std::vector<std::string> columns) {
  if (!table.primary_key.empty()) Fail("the table has a second PRIMARY KEY here");
  Expect("NOT ENFORCED",
         "after PRIMARY KEY: Millrace, like Flink, merges rows of equal keys and checks none");
  table.primary_key = std::move(columns);
}

void StatementParser::Watermark(TableDefinition& table) {
  if (table.watermark) Fail("the table has a second WATERMARK here");
  Expect("WATERMARK FOR", "");
  std::string column = Name("the name of the time column");
  while (AcceptSymbol(".")) column += "." + Name("the name of a field");
  Expect("AS", "after the time column of WATERMARK");
  WatermarkDefinition watermark{column, {}};
  watermark.expression = ElementExpression(watermark.text);
  table.watermark = std::move(watermark);
}

std::string StatementParser::ElementExpression(std::string& text) {
  idx_t first = at_, last = list_.tokens.size() - 1;
  while (at_ < last && !Peek().IsSymbol(",") && !Peek().IsSymbol(")")) {
    if (IsNext("COMMENT") && Peek(1).kind == TokenKind::kString && at_ > first) break;
    if (Peek().IsSymbol("(") || Peek().IsSymbol("[")) at_ = rewriter_.Closing(at_, last);
    at_++;
  }
  if (at_ == first) Fail("expected an expression");
  text = std::string(list_.Slice(first, at_));
  return rewriter_.Rewrite(first, at_);
}

DataType StatementParser::Type() {
  idx_t first = at_;
  at_ = rewriter_.TypeEnd(at_, list_.tokens.size() - 1);
  try {
    return ParseDataType(list_.Slice(first, at_));
  } catch (const Error& error) {
    ThrowSyntax(list_.tokens[first].position, list_.Slice(first, at_), error.text());
  }
}

StatementBody StatementParser::CreateViewStatement(bool temporary, bool or_replace) {
  CreateView create;
  create.temporary = temporary;
  create.or_replace = or_replace;
  create.if_not_exists = IfNotExists();
  create.name = Path("the name of a view");
  if (AcceptSymbol("(")) {
    do {
      create.columns.push_back(Name("the name of a column"));
      (void)Comment();
    } while (AcceptSymbol(","));
    ExpectSymbol(")", "after the columns");
  }
  (void)Comment();
  Expect("AS", "and a query");
  idx_t first = at_;
  create.query = RestAsQuery();
  create.original = std::string(list_.Slice(first, at_));
  return create;
}

}  // namespace millrace
