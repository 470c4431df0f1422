// explain.cc - EXPLAIN: the plan of a query, and what it will remember; what a running job does.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "duckdb/main/query_result.hpp"
#include "session/insert_target.h"
#include "stream/lake_source.h"

namespace millrace {

namespace {

// "90 min": in the greatest unit that leaves nothing over.
std::string DurationText(int64_t ms) {
  constexpr std::pair<int64_t, const char*> kUnits[] = {
      {86'400'000, "d"}, {3'600'000, "h"}, {60'000, "min"}, {1000, "s"}};
  for (auto [unit, name] : kUnits) {
    if (ms % unit == 0) return fmt::format("{} {}", ms / unit, name);
  }
  return fmt::format("{} ms", ms);
}

// Flink forgets what was not touched for so long, and then counts wrong. Nothing is forgotten here.
std::string StateTtlLine(int64_t ttl_ms, bool keeps_state) {
  if (ttl_ms == 0) return "";
  std::string text = "state TTL " + DurationText(ttl_ms) + ": ";
  return text + (keeps_state ? "not applied, results stay exact; in Flink this query would be "
                               "approximate\n"
                             : "without effect, this query keeps no state\n");
}

std::string TimeText(int64_t ns) {
  double ms = static_cast<double>(ns) / 1e6;
  return ms < 10'000 ? fmt::format("{:.1f} ms", ms) : fmt::format("{:.1f} s", ms / 1000);
}

std::string BytesText(int64_t bytes) {
  if (bytes == 0) return "-";
  if (bytes < 10'240) return fmt::format("{} B", bytes);
  double kb = static_cast<double>(bytes) / 1024;
  return kb < 10'240 ? fmt::format("{:.0f} kB", kb) : fmt::format("{:.0f} MB", kb / 1024);
}

// Figures first, in narrow columns: where a terminal breaks or cuts lines, it is the operators'
// texts that suffer.
std::string FiguresText(const std::vector<OperatorLine>& operators) {
  constexpr size_t kColumns = 4;
  std::vector<std::array<std::string, kColumns>> cells = {{"rows in", "rows out", "time", "state"}};
  std::vector<std::string> texts = {"operator"};
  for (const OperatorLine& line : operators) {
    const OperatorFigures& figures = line.figures;
    cells.push_back({std::to_string(figures.rows_in), std::to_string(figures.rows_out),
                     TimeText(figures.busy_ns), BytesText(figures.state_bytes)});
    texts.push_back(std::string(line.depth * 2, ' ') + line.text);
  }
  std::array<size_t, kColumns> widths = {};
  for (const auto& row : cells) {
    for (size_t c = 0; c < kColumns; c++) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (size_t r = 0; r < cells.size(); r++) {
    for (size_t c = 0; c < kColumns; c++) text += fmt::format("{:>{}}  ", cells[r][c], widths[c]);
    text += texts[r] + "\n";
  }
  return text;
}

}  // namespace

std::string SqlSession::ExplainJob(const std::string& name) {
  std::shared_ptr<Job> job = jobs_->Find(name);
  JobStatistics statistics = job->Statistics();
  std::string text = fmt::format("== Job '{}' ({}): {}, {} steps, {} checkpoints, {:.1f} s ==\n",
                                 job->options().name, job->options().id, JobStateName(job->State()),
                                 statistics.steps, statistics.checkpoints, statistics.seconds);
  for (const PipelineFigures& pipeline : job->Figures()) {
    text += fmt::format("== Into {} ==\n{}", pipeline.target, FiguresText(pipeline.operators));
  }
  return text;
}

std::string SqlSession::ExplainQuery(const std::string& duck_sql, const std::string& target,
                                     const DataflowOptions& options, bool analyze) {
  std::string text;
  auto connection = NewConnection();
  if (!settings_.Streaming()) {
    auto result = connection->Query((analyze ? "EXPLAIN ANALYZE " : "EXPLAIN ") + duck_sql);
    if (result->HasError()) result->ThrowError();
    for (idx_t row = 0; row < result->RowCount(); row++)
      text += result->GetValue(1, row).ToString();
    return "== Batch plan" + (target.empty() ? "" : " into " + target) + " ==\n" + text;
  }
  if (analyze) {
    Throw(ErrorCode::kInvalid,
          "EXPLAIN ANALYZE in streaming mode shows a job that runs: EXPLAIN ANALYZE JOB '<name>' "
          "(SHOW JOBS lists them); SET 'execution.runtime-mode' = 'batch' to run this query");
  }
  return ExplainFlow(*Dataflow::Compile(*connection->context, duck_sql, options),
                     target.empty() ? "" : " into " + target, {})
      .second;
}

std::pair<ChangelogType, std::string> SqlSession::ExplainFlow(
    Dataflow& flow, const std::string& title, const std::map<ObjectPath, ChangelogType>& views) {
  std::vector<ChangelogType> types;
  for (const SourceTable& input : flow.Inputs()) {
    if (IsSharedView(*input.definition)) {
      types.push_back(views.at(input.definition->path));
      continue;
    }
    std::string connector = input.definition->Connector();
    auto source = connector.empty() ? MakeLakeSource(engine_.table_context(), {input}, false)
                                    : engine_.connectors().Get(connector).MakeSource(
                                          engine_.environment(), {input}, false);
    types.push_back(source->Changelog(0));
  }
  ChangelogType type = flow.Start(types);
  return {
      type,
      fmt::format("== Incremental plan{} (changelog: {}) ==\n{}{}", title, ChangelogTypeName(type),
                  StateTtlLine(settings_.StateTtlMs(), flow.KeepsState()), flow.Explain())};
}

// Shared views first, those that feed others before them.
std::string SqlSession::ExplainInserts(const std::vector<Target>& targets) {
  std::vector<JobQuery> queries =
      CompileJob(targets, FindSharedViews(targets), FlowOptions().shards, {});
  std::string text;
  std::map<ObjectPath, ChangelogType> views;
  auto add = [&](JobQuery& query, const char* what) {
    auto [type, plan] = ExplainFlow(*query.flow, what + query.name, views);
    views[query.view] = type;
    text += (text.empty() ? "" : "\n") + plan;
  };
  for (idx_t q = queries.size(); q-- > targets.size();) add(queries[q], " of view ");
  for (idx_t q = 0; q < targets.size(); q++) add(queries[q], " into ");
  return text;
}

StatementResult SqlSession::Run(const Explain& statement) {
  std::string text;
  bool analyze = statement.kind == "ANALYZE";
  if (!statement.job.empty()) text = ExplainJob(statement.job);
  if (statement.query) text = ExplainQuery(statement.query->duck_sql, "", FlowOptions(), analyze);
  std::vector<Target> targets;
  for (const Insert& insert : statement.inserts) {
    if (analyze) {
      Throw(
          ErrorCode::kInvalid,
          "EXPLAIN ANALYZE would insert; EXPLAIN shows the plan, and EXPLAIN ANALYZE JOB '<name>' "
          "what a running INSERT does");
    }
    targets.push_back(ResolveTarget(insert));
  }
  if (settings_.Streaming() && !targets.empty()) text = ExplainInserts(targets);
  for (const Target& target : targets) {
    if (settings_.Streaming()) break;
    text += (text.empty() ? "" : "\n") + ExplainQuery(target.duck_sql,
                                                      target.definition->path.ToString(),
                                                      FlowOptions(target.sink_key), false);
  }
  StatementResult result;
  result.kind = ResultKind::kRows;
  result.rows = MakeTextResult({"result"}, {{text}});
  return result;
}

}  // namespace millrace
