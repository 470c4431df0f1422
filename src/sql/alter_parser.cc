// ALTER TABLE, in Flink's forms and in those of Spark that do not contradict them; ALTER VIEW.
#include "base/error.h"
#include "sql/statement_parser.h"

namespace millrace {

StatementBody StatementParser::AlterStatement() {
  if (Accept("VIEW")) {
    AlterView alter;
    alter.name = Path("the name of a view");
    if (Accept("RENAME TO")) {
      alter.rename_to = Path("the new name of the view");
      End("ALTER VIEW");
      return alter;
    }
    Expect("AS", "or RENAME TO after the view");
    CreateView create;
    create.or_replace = true;
    create.name = alter.name;
    idx_t first = at_;
    create.query = RestAsQuery();
    create.original = std::string(list_.Slice(first, at_));
    return create;
  }
  if (!Accept("TABLE")) {
    FailUnsupported("only tables and views can be altered: ALTER TABLE, ALTER VIEW");
  }
  AlterTable alter;
  alter.if_exists = Accept("IF EXISTS");
  alter.name = Path("the name of a table");
  AlterAction(alter);
  End("ALTER TABLE");
  return alter;
}

void StatementParser::AlterAction(AlterTable& alter) {
  if (Accept("ADD")) return AlterAdd(alter);
  if (Accept("MODIFY")) return AlterModify(alter);
  if (Accept("DROP")) return AlterDrop(alter);
  if (Accept("RENAME")) return AlterRename(alter);
  if (Accept("ALTER") || Accept("CHANGE")) return AlterColumn(alter);
  if (Accept("SET")) {
    (void)Accept("TBLPROPERTIES");
    for (auto& [key, value] : OptionList("after SET"))
      alter.changes.push_back(SetTableOption{key, value});
    return;
  }
  if (Accept("RESET") || Accept("UNSET")) {
    if (Accept("TBLPROPERTIES")) (void)Accept("IF EXISTS");
    ExpectSymbol("(", "before the options to reset");
    do {
      alter.changes.push_back(ResetTableOption{String("an option")});
    } while (AcceptSymbol(","));
    ExpectSymbol(")", "after the options to reset");
    return;
  }
  if (Accept("COMMENT")) {
    alter.changes.push_back(ChangeTableComment{String("a comment")});
    return;
  }
  static const std::vector<std::string> kActions = {"ADD",   "MODIFY", "DROP", "RENAME",
                                                    "ALTER", "SET",    "RESET"};
  Fail("expected ADD, MODIFY, DROP, RENAME, ALTER COLUMN, SET or RESET" +
       (Peek().IsName() ? DidYouMean(Peek().value, kActions) : ""));
}

ColumnPath StatementParser::ColumnName() {
  ColumnPath path{Name("the name of a column")};
  while (AcceptSymbol(".")) path.push_back(Name("the name of a field"));
  return path;
}

std::optional<ColumnPosition> StatementParser::Position() {
  if (Accept("FIRST")) return ColumnPosition{ColumnPosition::Place::kFirst, ""};
  if (Accept("AFTER")) {
    return ColumnPosition{ColumnPosition::Place::kAfter, Name("the name of a column")};
  }
  return std::nullopt;
}

/// The text of a default as the schema file keeps it: 'text' in quotes, numbers bare.
std::optional<std::string> StatementParser::DefaultValue() {
  if (Accept("NULL")) return std::nullopt;
  for (const char* typed : {"DATE", "TIMESTAMP", "TIME"}) {
    if (IsNext(typed) && Peek(1).kind == TokenKind::kString) at_++;
  }
  if (Peek().kind == TokenKind::kString) return QuoteString(list_.tokens[at_++].value);
  if (Accept("TRUE")) return "true";
  if (Accept("FALSE")) return "false";
  std::string sign = AcceptSymbol("-") ? "-" : "";
  if (Peek().kind != TokenKind::kNumber) {
    Fail("expected a literal: a default is a number, a text in quotes, TRUE, FALSE or NULL");
  }
  at_++;
  return sign + std::string(list_.Slice(at_ - 1, at_));
}

// ADD c INT; ADD (c INT, d INT); ADD COLUMN[S] ..; ADD PARTITION.
void StatementParser::AlterAdd(AlterTable& alter) {
  if (IsNext("PARTITION") || IsNext("IF NOT EXISTS PARTITION")) {
    FailUnsupported("a partition is there once it has rows; INSERT them");
  }
  bool if_not_exists = false;
  if (Accept("COLUMN") || Accept("COLUMNS")) if_not_exists = IfNotExists();
  bool list = AcceptSymbol("(");
  do {
    AlterElement(alter, false, if_not_exists);
  } while (list && AcceptSymbol(","));
  if (list) ExpectSymbol(")", "or ',' after a column");
}

void StatementParser::AlterModify(AlterTable& alter) {
  (void)(Accept("COLUMN") || Accept("COLUMNS"));
  bool list = AcceptSymbol("(");
  do {
    AlterElement(alter, true, false);
  } while (list && AcceptSymbol(","));
  if (list) ExpectSymbol(")", "or ',' after a column");
}

void StatementParser::AlterElement(AlterTable& alter, bool modify, bool if_not_exists) {
  if (IsNext("WATERMARK FOR")) {
    TableDefinition table;
    Watermark(table);
    alter.watermark = table.watermark;
    return;
  }
  if (IsNext("PRIMARY KEY") || IsNext("CONSTRAINT") || IsNext("UNIQUE")) {
    FailUnsupported("the primary key is given when a table is created, and stays");
  }
  AddColumn column{ColumnName(), {}};
  column.if_not_exists = if_not_exists;
  if (Accept("AS")) {
    if (column.path.size() > 1) Fail("a computed column cannot lie inside a ROW");
    ColumnDefinition computed;
    computed.name = column.path[0];
    computed.computed = ElementExpression(computed.computed_text);
    computed.comment = Comment();
    alter.computed.push_back(std::move(computed));
    return;
  }
  column.type = Type();
  bool says_nullability = false, says_comment = false, says_default = false;
  for (;;) {
    bool not_null = Accept("NOT NULL");
    if (not_null || Accept("NULL")) {
      column.type.nullable = !not_null;
      says_nullability = true;
    } else if (IsNext("COMMENT")) {
      column.comment = Comment();
      says_comment = true;
    } else if (Accept("DEFAULT")) {
      column.default_value = DefaultValue();
      says_default = true;
    } else if (IsNext("METADATA")) {
      FailUnsupported("a lake table has no metadata columns");
    } else if (auto position = Position()) {
      column.position = position;
    } else {
      break;
    }
  }
  if (!modify) {
    alter.changes.push_back(std::move(column));
    return;
  }
  alter.changes.push_back(ChangeColumnType{column.path, column.type, !says_nullability});
  if (says_comment) alter.changes.push_back(ChangeColumnComment{column.path, column.comment});
  if (says_default) alter.changes.push_back(ChangeColumnDefault{column.path, column.default_value});
  if (column.position) {
    if (column.path.size() > 1) FailUnsupported("a field inside a ROW cannot be moved");
    alter.changes.push_back(ChangeColumnPosition{column.path[0], *column.position});
  }
}

PartitionText StatementParser::PartitionValues() {
  PartitionText values;
  ExpectSymbol("(", "after PARTITION");
  do {
    std::string column = Name("the name of a partition column");
    ExpectSymbol("=", "after the partition column " + column);
    idx_t start = at_;
    while (!AtEnd() && !Peek().IsSymbol(",") && !Peek().IsSymbol(")")) at_++;
    if (start == at_) Fail("expected the value of the partition column " + column);
    values[column] = rewriter_.Rewrite(start, at_);
  } while (AcceptSymbol(","));
  ExpectSymbol(")", "after the partition");
  return values;
}

// DROP c; DROP (c, d); DROP COLUMN[S] ..; DROP [IF EXISTS] PARTITION (..), PARTITION (..); DROP
// PRIMARY KEY; DROP WATERMARK.
void StatementParser::AlterDrop(AlterTable& alter) {
  bool columns = Accept("COLUMN") || Accept("COLUMNS");
  bool if_exists = Accept("IF EXISTS");
  if (!columns && IsNext("PARTITION")) {
    alter.drop_partitions_if_exist = if_exists;
    do {
      Expect("PARTITION", "and its values");
      alter.drop_partitions.push_back(PartitionValues());
    } while (AcceptSymbol(","));
    return;
  }
  if (!columns && Accept("PRIMARY KEY")) {
    alter.changes.push_back(DropPrimaryKey{});
    return;
  }
  if (!columns && Accept("WATERMARK")) {
    alter.drop_watermark = true;
    return;
  }
  bool list = AcceptSymbol("(");
  do {
    alter.changes.push_back(DropColumn{ColumnName(), if_exists});
  } while (list && AcceptSymbol(","));
  if (list) ExpectSymbol(")", "or ',' after a column");
}

void StatementParser::AlterRename(AlterTable& alter) {
  if (Accept("TO")) {
    alter.rename_to = Path("the new name of the table");
    return;
  }
  (void)Accept("COLUMN");
  ColumnPath path = ColumnName();
  Expect("TO", "and the new name of the column");
  alter.changes.push_back(RenameColumn{std::move(path), Name("the new name of the column")});
}

// ALTER COLUMN c TYPE t | SET NOT NULL | DROP NOT NULL | COMMENT '..' | FIRST | AFTER d |
// SET DEFAULT .. | DROP DEFAULT
void StatementParser::AlterColumn(AlterTable& alter) {
  Expect("COLUMN", "after ALTER");
  ColumnPath path = ColumnName();
  if (Accept("TYPE")) {
    alter.changes.push_back(ChangeColumnType{path, Type(), true});
  } else if (Accept("SET NOT NULL")) {
    alter.changes.push_back(ChangeColumnNullability{path, false});
  } else if (Accept("DROP NOT NULL")) {
    alter.changes.push_back(ChangeColumnNullability{path, true});
  } else if (IsNext("COMMENT")) {
    alter.changes.push_back(ChangeColumnComment{path, Comment()});
  } else if (Accept("SET DEFAULT")) {
    alter.changes.push_back(ChangeColumnDefault{path, DefaultValue()});
  } else if (Accept("DROP DEFAULT")) {
    alter.changes.push_back(ChangeColumnDefault{path, std::nullopt});
  } else if (auto position = Position()) {
    if (path.size() > 1) FailUnsupported("a field inside a ROW cannot be moved");
    alter.changes.push_back(ChangeColumnPosition{path[0], *position});
  } else {
    Fail(
        "expected TYPE, SET NOT NULL, DROP NOT NULL, COMMENT, SET DEFAULT, DROP DEFAULT, FIRST or "
        "AFTER");
  }
}

}  // namespace millrace
