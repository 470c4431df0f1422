// Goal: statements of two sessions that change the same rows at the same time lose nothing and
// double nothing. Method: every increment must be in the table's sum, and what they report to have
// inserted and deleted must give how many rows there are.
#include <doctest/doctest.h>

#include <filesystem>
#include <thread>

#include "base/error.h"
#include "session/session.h"

namespace millrace {

namespace {

class TestSession {
 public:
  TestSession(const std::string& folder, const std::string& name) {
    SessionOptions options;
    options.data_folder = folder + "/" + name;
    session_ = MakeSession(connectors_, options);
    Run("SET 'execution.runtime-mode' = 'batch'");
    Run("SET 'table.dml-sync' = 'true'");
    Run("CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '" + folder + "/warehouse')");
    Run("USE CATALOG lake");
  }

  /// Rows changed; 0 where a statement does not say.
  int64_t Run(const std::string& sql) {
    return session_->Execute({sql, {}, true}).rows_changed.value_or(0);
  }

  int64_t Number(const std::string& sql) {
    StatementResult result = session_->Execute({sql, {}, true});
    ChangeChunk chunk;
    chunk.Initialize(result.rows->Types());
    REQUIRE(result.rows->Next(chunk));
    return chunk.rows.GetValue(0, 0).GetValue<int64_t>();
  }

 private:
  ConnectorRegistry connectors_;
  std::unique_ptr<Session> session_;
};

struct Totals {
  int64_t updates = 0, inserted = 0, deleted = 0;
  int gave_up = 0;  // Statements that lost ten races.
};

/// One session's share: increments of overlapping rows, inserts of its own, deletes of anyone's.
void Work(TestSession& session, const std::string& table, int worker, Totals& totals) {
  for (int round = 0; round < 12; round++) {
    try {
      session.Run("UPDATE " + table + " SET v = v + 1 WHERE id < 60 AND id % 3 <> " +
                  std::to_string((round + worker) % 3));
      totals.updates++;
      int first = 1000 * (worker + 1) + 10 * round;
      session.Run("INSERT INTO " + table + " SELECT " + std::to_string(first) +
                  " + i, 0 FROM range(5) AS r(i)");
      totals.inserted += 5;
      totals.deleted += session.Run("DELETE FROM " + table +
                                    " WHERE id >= 1000 AND id % 10 = " + std::to_string(round % 5));
    } catch (const Error& error) {
      INFO(error.text());
      CHECK(error.code() == ErrorCode::kConflict);
      totals.gave_up++;
    }
  }
}

}  // namespace

TEST_CASE("Two sessions change the same rows") {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("rows-" + std::to_string(getpid()))).string();
  std::filesystem::create_directories(folder);
  for (bool keyed : {true, false}) {
    CAPTURE(keyed);
    TestSession first(folder, "a"), second(folder, "b");
    std::string table = keyed ? "k" : "a";
    first.Run("CREATE TABLE " + table + " (id BIGINT, v BIGINT" +
              (keyed ? ", PRIMARY KEY (id) NOT ENFORCED) WITH ('bucket' = '2')" : ")"));
    first.Run("INSERT INTO " + table + " SELECT i, 0 FROM range(60) AS r(i)");
    Totals totals[2];
    std::thread other([&] { Work(second, table, 1, totals[1]); });
    Work(first, table, 0, totals[0]);
    other.join();
    int64_t sum = first.Number("SELECT CAST(SUM(v) AS BIGINT) FROM " + table);
    int64_t count = first.Number("SELECT COUNT(*) FROM " + table);
    MESSAGE("gave up: ", totals[0].gave_up + totals[1].gave_up);
    CHECK(sum == 40 * (totals[0].updates + totals[1].updates));  // Each reaches 40 of 60 rows.
    CHECK(count ==
          60 + totals[0].inserted + totals[1].inserted - totals[0].deleted - totals[1].deleted);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace millrace
