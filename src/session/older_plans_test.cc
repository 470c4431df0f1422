// Goal: a job that an earlier release began goes on with the plan that its state belongs to, and
// gets today's when it starts over. Method: a session that makes plans as before, one that does
// not, one that starts afresh, over the same tables; CHECK VIEW and the operators of the job after
// each.
#include <doctest/doctest.h>

#include <filesystem>

#include "base/error.h"
#include "session/session.h"

namespace millrace {

namespace {

class Life {
 public:
  Life(const std::string& folder, bool older_plans, bool fresh) {
    SessionOptions options;
    options.data_folder = folder + "/data";
    options.script = "joins";
    options.older_plans = older_plans;
    options.fresh = fresh;
    session_ = MakeSession(connectors_, options);
    Run("CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '" + folder + "/warehouse')");
    Run("USE CATALOG lake");
    for (const char* table : {"a", "b", "c"}) {
      Run(fmt::format(
          "CREATE TABLE IF NOT EXISTS {} (id INT, v INT, PRIMARY KEY (id) NOT ENFORCED) "
          "WITH ('bucket' = '1')",
          table));
    }
    Run("CREATE TABLE IF NOT EXISTS t (id INT, x INT, y INT, z INT, PRIMARY KEY (id) NOT ENFORCED) "
        "WITH ('bucket' = '1')");
    Run("SET 'table.dml-sync' = 'false'");
    Run("SET 'execution.checkpointing.interval' = '50 ms'");
    Run("SET 'pipeline.name' = 'chain'");
    Run("SET 'execution.runtime-mode' = 'streaming'");
    Run("INSERT INTO t SELECT a.id, a.v, b.v, c.v FROM a JOIN b ON a.id = b.id LEFT JOIN c ON a.id "
        "= "
        "c.id");
    Run("RESET 'pipeline.name'");
    Run("SET 'execution.runtime-mode' = 'batch'");
    Run("SET 'table.dml-sync' = 'true'");
  }

  void Run(const std::string& sql) { session_->Execute({sql, {}, true}); }

  /// Changes the inputs, and checks the output.
  void Work(int from) {
    for (const char* table : {"a", "b", "c"}) {
      std::string rows;
      for (int i = from; i < from + 9; i++) {
        if ((i + *table) % 4 == 0) continue;
        rows += fmt::format("{}({}, {})", rows.empty() ? "" : ", ", i % 12, i);
      }
      Run(fmt::format("INSERT INTO {} VALUES {}", table, rows));
    }
    Run(fmt::format("DELETE FROM c WHERE id = {}", from % 12));
    session_->SettleForTest();
    CHECK(Text("CHECK VIEW t") == "ok");
    CHECK(Text("SELECT count(*) > 3 FROM t") == "true");
  }

  /// The first cell of each row.
  std::string Text(const std::string& sql) {
    StatementResult result = session_->Execute({sql, {}, true});
    if (!result.rows) return result.message;
    std::string text;
    ChangeChunk chunk;
    chunk.Initialize(result.rows->Types());
    while (result.rows->Next(chunk)) {
      for (idx_t i = 0; i < chunk.size(); i++) text += chunk.rows.GetValue(0, i).ToString();
      chunk.Reset();
    }
    return text;
  }

 private:
  ConnectorRegistry connectors_;
  std::unique_ptr<Session> session_;
};

bool Holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("A job goes on with the plan of the release that began it") {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("older-plans-" + std::to_string(getpid())))
          .string();
  std::filesystem::create_directories(folder);
  const std::string explain = "EXPLAIN ANALYZE JOB 'chain'";
  {
    Life before(folder, true, false);
    before.Work(0);
    CHECK(Holds(before.Text(explain), "LEFT JOIN ON"));
  }
  for (int life = 0; life < 2; life++) {
    CAPTURE(life);
    Life now(folder, false, false);
    now.Work(5 + life);
    std::string plan = now.Text(explain);
    CAPTURE(plan);
    CHECK(Holds(plan, "LEFT JOIN ON"));
    CHECK_FALSE(Holds(plan, "JOIN OF 3"));
  }
  {
    Life afresh(folder, false, true);
    afresh.Work(9);
    CHECK(Holds(afresh.Text(explain), "JOIN OF 3"));
  }
  std::filesystem::remove_all(folder);
}

}  // namespace millrace
