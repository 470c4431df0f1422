// Goal: whatever is altered, written, deleted, overwritten and compacted in whatever order, a table
// holds what a naive model holds. Method: random statements against a list of maps from column to
// text, every column compared as text after each step; seeds are in the output.
#include <doctest/doctest.h>

#include <filesystem>
#include <random>

#include "base/error.h"
#include "session/session.h"

namespace millrace {

namespace {

constexpr const char* kNull = "NULL";

struct Column {
  int id;
  std::string name;
  int type;  // Into kTypes; it only grows.
};

// Each holds every number that the ones before it hold, and prints it alike.
constexpr const char* kTypes[] = {"SMALLINT", "INT", "BIGINT", "DECIMAL(20, 0)", "STRING"};

class Model {
 public:
  Model(Session& session, uint32_t seed, bool keyed)
      : session_(session), random_(seed), keyed_(keyed), table_("m" + std::to_string(seed)) {
    columns_ = {{0, "c0", 1}};
    std::string options = " WITH ('num-sorted-run.compaction-trigger' = '2', 'bucket' = ";
    Run("CREATE TABLE " + table_ + " (k INT" + (keyed ? " NOT NULL" : "") + ", c0 INT" +
        (keyed ? ", PRIMARY KEY (k) NOT ENFORCED)" + options + "'2')" : ")" + options + "'-1')"));
  }

  void Step() {
    switch (random_() % 10) {
      case 0:
        return Alter();
      case 1:
        return Overwrite();
      case 2:
        return Delete();
      case 3:
        return Update();
      default:
        return Insert();
    }
  }

  void Check() {
    std::string names = "k";
    for (const Column& column : columns_) names += ", CAST(" + column.name + " AS STRING)";
    StatementResult result = session_.Execute({"SELECT " + names + " FROM " + table_, {}, true});
    std::vector<std::string> found, expected;
    ChangeChunk chunk;
    chunk.Initialize(result.rows->Types());
    for (; result.rows->Next(chunk); chunk.Reset()) {
      for (idx_t row = 0; row < chunk.size(); row++) {
        std::string text;
        for (idx_t c = 0; c <= columns_.size(); c++)
          text += chunk.rows.GetValue(c, row).ToString() + "|";
        found.push_back(text);
      }
    }
    for (const auto& [key, row] : rows_) {
      std::string text = std::to_string(key) + "|";
      for (const Column& column : columns_) text += row.at(column.id) + "|";
      expected.push_back(text);
    }
    std::sort(found.begin(), found.end());
    std::sort(expected.begin(), expected.end());
    REQUIRE(found == expected);
  }

 private:
  using Row = std::map<int, std::string>;  // Column id -> text.

  void Run(const std::string& sql) {
    INFO(sql);
    REQUIRE_NOTHROW(session_.Execute({sql, {}, true}));
  }

  std::string Number() {
    return random_() % 5 == 0 ? kNull : std::to_string(static_cast<int>(random_() % 60000) - 30000);
  }
  std::string Literal(const Column& column, const std::string& text) const {
    return "CAST(" + (text == kNull ? text : "'" + text + "'") + " AS " + kTypes[column.type] + ")";
  }

  /// VALUES of up to six rows, which go to `put`.
  std::string Values(const std::function<void(int, Row)>& put) {
    std::string values;
    std::set<int> keys;
    for (uint32_t i = 1 + random_() % 6; i > 0; i--) {
      int key = static_cast<int>(random_() % 30);
      if (!keys.insert(key).second) continue;
      Row row;
      std::string text = "(" + std::to_string(key);
      for (const Column& column : columns_) {
        row[column.id] = Number();
        text += ", " + Literal(column, row[column.id]);
      }
      values += (values.empty() ? "VALUES " : ", ") + text + ")";
      put(key, std::move(row));
    }
    return values;
  }

  void Put(int key, Row row) {
    if (keyed_) rows_.erase(key);
    rows_.emplace(key, std::move(row));
  }

  void Insert() {
    std::vector<std::pair<int, Row>> added;
    std::string values = Values([&](int key, Row row) { added.emplace_back(key, std::move(row)); });
    Run("INSERT INTO " + table_ + " " + values);
    for (auto& [key, row] : added) Put(key, std::move(row));
  }

  void Overwrite() {
    std::multimap<int, Row> next;
    std::string values = Values([&](int key, Row row) { next.emplace(key, std::move(row)); });
    // Some of the old rows stay, read by the query that replaces them.
    int from = static_cast<int>(random_() % 40);
    if (!keyed_) {
      for (const auto& [key, row] : rows_) {
        if (key >= from) next.emplace(key, row);
      }
      values += " UNION ALL SELECT * FROM " + table_ + " WHERE k >= " + std::to_string(from);
    }
    Run("INSERT OVERWRITE " + table_ + " " + values);
    rows_ = std::move(next);
  }

  void Delete() {
    int from = static_cast<int>(random_() % 30), to = from + static_cast<int>(random_() % 8);
    Run("DELETE FROM " + table_ + " WHERE k BETWEEN " + std::to_string(from) + " AND " +
        std::to_string(to));
    std::erase_if(rows_, [&](const auto& row) { return row.first >= from && row.first <= to; });
  }

  void Update() {
    const Column& column = columns_[random_() % columns_.size()];
    std::string text = Number();
    int remainder = static_cast<int>(random_() % 4);
    Run("UPDATE " + table_ + " SET " + column.name + " = " + Literal(column, text) +
        " WHERE k % 4 = " + std::to_string(remainder));
    for (auto& [key, row] : rows_) {
      if (key % 4 == remainder) row[column.id] = text;
    }
  }

  void Alter() {
    std::string alter = "ALTER TABLE " + table_ + " ";
    idx_t at = random_() % columns_.size();
    Column& column = columns_[at];
    switch (random_() % 5) {
      case 0:
        if (columns_.size() == 1) return;
        Run(alter + "DROP " + column.name);
        columns_.erase(columns_.begin() + static_cast<int64_t>(at));
        return;
      case 1: {
        std::string name = "n" + std::to_string(++names_);
        Run(alter + "RENAME " + column.name + " TO " + name);
        column.name = name;
        return;
      }
      case 2:
        if (column.type + 1 == static_cast<int>(std::size(kTypes))) return;
        column.type++;
        Run(alter + "MODIFY " + column.name + " " + kTypes[column.type]);
        return;
      case 3: {  // Columns keep their places in the model: SELECT names them.
        Run(alter + "ALTER COLUMN k AFTER " + column.name);
        Run(alter + "ALTER COLUMN k FIRST");
        return;
      }
      default: {
        if (columns_.size() > 5) return;
        Column added{++ids_, "n" + std::to_string(++names_), static_cast<int>(random_() % 4)};
        Run(alter + "ADD " + added.name + " " + kTypes[added.type] + " AFTER " + column.name);
        columns_.insert(columns_.begin() + static_cast<int64_t>(at) + 1, added);
        for (auto& [key, row] : rows_) row[added.id] = kNull;
      }
    }
  }

  Session& session_;
  std::mt19937 random_;
  const bool keyed_;
  const std::string table_;
  std::vector<Column> columns_;
  std::multimap<int, Row> rows_;
  int ids_ = 0, names_ = 0;
};

}  // namespace

TEST_CASE("Random statements against a naive model") {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("evolve-" + std::to_string(getpid()))).string();
  ConnectorRegistry connectors;
  SessionOptions options;
  options.data_folder = folder + "/data";
  {
    std::unique_ptr<Session> session = MakeSession(connectors, options);
    for (const char* sql :
         {"SET 'execution.runtime-mode' = 'batch'", "SET 'table.dml-sync' = 'true'"}) {
      session->Execute({sql, {}, true});
    }
    session->Execute(
        {"CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '" + folder + "/warehouse')",
         {},
         true});
    session->Execute({"USE CATALOG lake", {}, true});
    for (uint32_t seed = 1; seed <= 6; seed++) {
      CAPTURE(seed);
      Model model(*session, seed, seed % 2 == 0);
      for (int step = 0; step < 50; step++) {
        CAPTURE(step);
        model.Step();
        if (step % 3 == 0) model.Check();
      }
      model.Check();
    }
  }
  std::filesystem::remove_all(folder);
}

}  // namespace millrace
