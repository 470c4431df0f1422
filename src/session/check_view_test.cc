// Goal: CHECK VIEW finds nothing where a job counts right, however its inputs change and whenever
// it is asked, and finds the very row that somebody else has taken out of a result or put into it.
// Method: random changes (the seed is printed) to the inputs of joins, aggregates, a top-n and a
// sink with a key of its own, in one statement set; now and then a random row of a random result is
// spoilt, and mended afterwards.
#include <doctest/doctest.h>

#include <filesystem>
#include <random>

#include "base/error.h"
#include "session/session.h"

namespace millrace {

namespace {

constexpr const char* kInserts =
    "EXECUTE STATEMENT SET BEGIN "
    "INSERT INTO joined SELECT a.g, COUNT(*), SUM(m.v), MAX(m.v) FROM a JOIN m ON a.id = m.a GROUP "
    "BY a.g; "
    "INSERT INTO per_a SELECT a.id, a.g, COALESCE(s.n, 0) FROM a LEFT JOIN (SELECT a, COUNT(*) AS "
    "n "
    "FROM m GROUP BY a) AS s ON s.a = a.id; "
    "INSERT INTO top_m SELECT id, a, v FROM m ORDER BY v DESC, id LIMIT 5; "
    "INSERT INTO last_of SELECT g, id FROM a; END";

struct View {
  const char* name;
  const char* key;
};
constexpr View kViews[] = {{"joined", "g"}, {"per_a", "id"}, {"top_m", "id"}, {"last_of", "g"}};

class Checked {
 public:
  Checked(const std::string& folder, unsigned seed) : random_(seed) {
    SessionOptions options;
    options.data_folder = folder + "/data";
    session_ = MakeSession(connectors_, options);
    Run("CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '" + folder + "/warehouse')");
    Run("USE CATALOG lake");
    Run("SET 'table.dml-sync' = 'false'");
    Run("SET 'execution.checkpointing.interval' = '50 ms'");
    Run("CREATE TABLE a (id INT, g INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket' = '1', "
        "'changelog-producer' = 'lookup')");
    // Without a changelog producer: upserts, which the job makes whole itself.
    Run("CREATE TABLE m (id INT, a INT, v INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket' = "
        "'1')");
    Run("CREATE TABLE joined (g INT, n BIGINT, s INT, x INT, PRIMARY KEY (g) NOT ENFORCED) WITH "
        "('bucket' = '1')");
    Run("CREATE TABLE per_a (id INT, g INT, n BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH "
        "('bucket' "
        "= '1')");
    Run("CREATE TABLE top_m (id INT, a INT, v INT, PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket' = "
        "'1')");
    Run("CREATE TABLE last_of (g INT, id INT, PRIMARY KEY (g) NOT ENFORCED) WITH ('bucket' = '1')");
    Run(kInserts);
    Run("SET 'execution.runtime-mode' = 'batch'");
    Run("SET 'table.dml-sync' = 'true'");
  }

  int Pick(int below) { return static_cast<int>(random_() % below); }
  void Run(const std::string& sql) { session_->Execute({sql, {}, true}); }
  void Settle() { session_->SettleForTest(); }

  std::vector<std::vector<std::string>> Rows(const std::string& sql) {
    StatementResult result = session_->Execute({sql, {}, true});
    std::vector<std::vector<std::string>> rows;
    ChangeChunk chunk;
    chunk.Initialize(result.rows->Types());
    while (result.rows->Next(chunk)) {
      for (idx_t i = 0; i < chunk.size(); i++) {
        auto& row = rows.emplace_back();
        for (idx_t c = 0; c < chunk.rows.ColumnCount(); c++)
          row.push_back(chunk.rows.GetValue(c, i).ToString());
      }
      chunk.Reset();
    }
    return rows;
  }

  void ChangeInputs() {
    std::string accounts, moves;
    for (int i = 0; i < 4; i++) {
      accounts += fmt::format("{}({}, {})", i ? ", " : "", Pick(12), Pick(4));
      moves += fmt::format("{}({}, {}, {})", i ? ", " : "", Pick(30), Pick(12), Pick(100) - 50);
    }
    switch (Pick(4)) {
      case 0:
        Run(fmt::format("DELETE FROM a WHERE id % 7 = {}", Pick(7)));
        break;
      case 1:
        Run(fmt::format("DELETE FROM m WHERE id % 9 = {}", Pick(9)));
        break;
      case 2:
        Run(fmt::format("UPDATE m SET v = v + 1, a = {} WHERE id % 5 = {}", Pick(12), Pick(5)));
        break;
      default:
        Run("INSERT INTO a VALUES " + accounts);
    }
    Run("INSERT INTO m VALUES " + moves);
  }

  void ExpectOk(const View& view) {
    auto rows = Rows(fmt::format("CHECK VIEW {}", view.name));
    std::string text;
    for (const auto& row : rows) text += fmt::format("{}\n", fmt::join(row, " | "));
    INFO(view.name, ":\n", text);
    CHECK(rows.at(0)[0] == "ok");
  }

  // Takes a row out, or puts one in that is not the query's.
  void Spoil(const View& view) {
    Settle();
    ExpectOk(view);  // With a checkpoint: what is there is the newest.
    auto rows = Rows(fmt::format("SELECT * FROM {}", view.name));
    if (rows.empty()) return;
    const std::vector<std::string>& row = rows[Pick(static_cast<int>(rows.size()))];
    std::string shown = fmt::format("{}={}, ", view.key, row[0]);
    bool remove = Pick(2) == 0;
    std::vector<std::string> other = row;
    other.back() = "77777";
    if (remove) Run(fmt::format("DELETE FROM {} WHERE {} = {}", view.name, view.key, row[0]));
    if (!remove) Run(fmt::format("INSERT INTO {} VALUES ({})", view.name, fmt::join(other, ", ")));
    auto found = Rows(fmt::format("CHECK VIEW {}", view.name));
    REQUIRE(found.size() == (remove ? 1 : 2));
    for (const auto& difference : found) {
      CHECK(difference[1] == "1");
      CHECK(difference[2].starts_with(shown));
      bool in_table = difference[2].ends_with("=77777");
      CHECK(difference[0] == (in_table ? "only in the table" : "only in the query"));
    }
    Run(fmt::format("INSERT INTO {} VALUES ({})", view.name, fmt::join(row, ", ")));
    ExpectOk(view);
  }

 private:
  std::mt19937 random_;
  ConnectorRegistry connectors_;
  std::unique_ptr<Session> session_;
};

}  // namespace

TEST_CASE("CHECK VIEW under random changes") {
  const char* given = std::getenv("MILLRACE_SEED");
  unsigned seed = given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : 11;
  CAPTURE(seed);
  std::string folder =
      (std::filesystem::temp_directory_path() / ("check-" + std::to_string(getpid()))).string();
  std::filesystem::create_directories(folder);
  {
    Checked checked(folder, seed);
    for (int round = 0; round < 12; round++) {
      CAPTURE(round);
      checked.ChangeInputs();
      // While the job may still be at work: its checkpoint says how far it was.
      for (const View& view : kViews) checked.ExpectOk(view);
      if (round % 3 == 2) checked.Spoil(kViews[checked.Pick(4)]);
    }
  }
  std::filesystem::remove_all(folder);
}

}  // namespace millrace
