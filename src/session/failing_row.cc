// failing_row.cc - which expression, for which row, ended a batch query.
//
// DuckDB tells the value at best. The incremental engine names both: when batch has failed on data,
// the query runs there once more, for a moment, and what it says is told if it says the same.
#include "base/error.h"
#include "session/sql_session.h"
#include "stream/nothing_sink.h"

namespace millrace {

namespace {

constexpr int64_t kLookForMs = 3000;
constexpr const char* kExcerpt = "\n\nLINE ";  // DuckDB's, at the end of a text.

// "Job 'x' stopped at step 3: Evaluating ..." -> "Evaluating ...".
std::string WithoutJob(const std::string& text) {
  size_t at = text.find("Evaluating ");
  return at == std::string::npos ? "" : text.substr(at);
}

}  // namespace

Error SqlSession::WithRow(const Error& error, const std::string& duck_sql) {
  bool of_data = error.code() == ErrorCode::kData || error.code() == ErrorCode::kInvalid;
  if (!of_data || cancelled_) return error;
  try {
    Pipeline pipeline;
    auto connection = NewConnection();
    DataflowOptions flow_options;
    flow_options.memory = engine_.environment().state_memory;
    pipeline.flow = Dataflow::Compile(*connection->context, duck_sql, flow_options);
    pipeline.sink = std::make_unique<NothingSink>();
    pipeline.keep_alive = std::shared_ptr<duckdb::Connection>(std::move(connection));
    JobOptions options;
    options.id = "look-" + engine_.environment().random.Uuid().substr(0, 8);
    options.name = "look";
    options.bounded = true;
    options.step_rows = kChunkRows;
    std::vector<Pipeline> pipelines;
    pipelines.push_back(std::move(pipeline));
    Job job(engine_.environment(), engine_.connectors(), std::move(pipelines), options);
    auto task = engine_.executor().Start("look", [&] { job.Run(); });
    Clock& clock = engine_.environment().clock;
    int64_t until_us = clock.MonotonicUs() + kLookForMs * 1000;
    while (job.State() <= JobState::kRunning && clock.MonotonicUs() < until_us && !cancelled_) {
      clock.SleepMs(2);
    }
    job.Cancel();
    task->Join();
    auto failure = job.Failure();
    std::string found = failure ? WithoutJob(failure->text()) : "";
    std::string said = error.text().substr(0, error.text().find(kExcerpt));
    if (found.find(said) == std::string::npos) return error;
    std::string excerpt = error.text().substr(said.size());
    return Error(error.code(), found.substr(0, found.find(kExcerpt)) + excerpt);
  } catch (const std::exception&) {
    // What cannot run incrementally, or fails in another way, says nothing about this error.
  }
  return error;
}

}  // namespace millrace
