#include "stream/job.h"

#include <algorithm>

#include "base/error.h"
#include "stream/lake_source.h"
#include "stream/nothing_sink.h"
#include "stream/source_groups.h"
#include "table/commit_group.h"

namespace millrace {

namespace {

constexpr int64_t kIdleWaitMs = 5;
constexpr size_t kShownStatement = 300;  // Bytes of it in the message of a failure.

}  // namespace

const char* JobStateName(JobState state) {
  constexpr const char* kNames[] = {"CREATED", "RUNNING", "FINISHED", "FAILED", "CANCELED"};
  return kNames[static_cast<size_t>(state)];
}

Job::Job(Environment& environment, const ConnectorRegistry& connectors,
         std::vector<Pipeline> pipelines, JobOptions options, std::unique_ptr<JobFolder> folder)
    : environment_(environment),
      options_(std::move(options)),
      pipelines_(std::move(pipelines)),
      folder_(std::move(folder)) {
  std::vector<idx_t> targets;
  for (idx_t p = 0; p < pipelines_.size(); p++) {
    (pipelines_[p].sink ? targets : order_).push_back(p);
    if (!pipelines_[p].sink) pipelines_[p].sink = std::make_unique<NothingSink>();
  }
  std::reverse(order_.begin(), order_.end());
  order_.insert(order_.end(), targets.begin(), targets.end());
  BuildSources(connectors);
  Start();
}

Job::~Job() = default;

void Job::BuildSources(const ConnectorRegistry& connectors) {
  // First the tables, each with the columns that anybody wants; then who wants which.
  std::vector<const std::vector<SourceTable>*> inputs_of;
  for (const Pipeline& pipeline : pipelines_) inputs_of.push_back(&pipeline.flow->Inputs());
  GroupedInputs grouped = GroupInputs(connectors, inputs_of);
  for (InputGroup& made : grouped.groups) {
    auto& group = *groups_.emplace_back(std::make_unique<SourceGroup>());
    group.tables = std::move(made.tables);
    group.consumers.resize(group.tables.size());
    if (made.connector.empty()) {
      group.source = MakeLakeSource(TableContext{environment_.files, environment_.clock,
                                                 environment_.random, environment_.database},
                                    group.tables, options_.bounded, IndexFolder());
    } else {
      group.source =
          connectors.Get(made.connector).MakeSource(environment_, group.tables, options_.bounded);
    }
  }
  fed_.resize(pipelines_.size());
  for (idx_t p = 0; p < pipelines_.size(); p++) {
    const auto& inputs = pipelines_[p].flow->Inputs();
    for (idx_t i = 0; i < inputs.size(); i++) {
      InputPlace place = grouped.places[p][i];
      idx_t feeder = place.shared ? FeederOf(inputs[i].definition->path, p) : 0;
      SourceGroup* group = place.shared ? nullptr : groups_[place.group].get();
      const std::vector<idx_t>& wanted =
          group ? group->tables[place.table].columns : pipelines_[feeder].view_columns;
      auto consumer = std::make_unique<Consumer>();
      consumer->pipeline = p;
      consumer->input = i;
      duckdb::vector<LogicalType> types;
      for (idx_t column : inputs[i].columns) {
        consumer->columns.push_back(
            static_cast<idx_t>(std::find(wanted.begin(), wanted.end(), column) - wanted.begin()));
        types.push_back(inputs[i].definition->columns[column].type.ToDuck());
      }
      consumer->view.rows.InitializeEmpty(types);
      auto& consumers = group ? group->consumers[place.table] : fed_[feeder];
      consumers.push_back(std::move(consumer));
    }
  }
}

// What an earlier life has left there goes.
std::string Job::IndexFolder() {
  if (!folder_) return JoinPath(environment_.data_folder, "tmp");
  std::string folder = JoinPath(folder_->path(), "index");
  if (environment_.files.Exists(folder)) environment_.files.DeleteFolder(folder);
  return folder;
}

// A pipeline is fed by later ones only.
idx_t Job::FeederOf(const ObjectPath& view, idx_t fed) const {
  idx_t p = fed + 1;
  while (p < pipelines_.size() && pipelines_[p].view != view) p++;
  MILLRACE_CHECK(p < pipelines_.size());
  return p;
}

void Job::DecideInputTypes() {
  input_types_.resize(pipelines_.size());
  for (idx_t p = 0; p < pipelines_.size(); p++) {
    input_types_[p].resize(pipelines_[p].flow->Inputs().size());
  }
  for (const auto& group : groups_) {
    for (idx_t t = 0; t < group->tables.size(); t++) {
      for (const auto& consumer : group->consumers[t]) {
        input_types_[consumer->pipeline][consumer->input] = group->source->Changelog(t);
      }
    }
  }
  auto checkpoint = folder_ ? folder_->Latest() : std::nullopt;
  if (!checkpoint || checkpoint->input_types.size() != input_types_.size()) return;
  // An empty table promises nothing at first and more later: less is enough to go on with. A table
  // that promises less than before has got another writer, and the state built on its changes may
  // be wrong.
  for (idx_t p = 0; p < pipelines_.size(); p++) {
    const auto& inputs = pipelines_[p].flow->Inputs();
    if (checkpoint->input_types[p].size() != inputs.size())
      return;  // Another plan: Restore says so.
    for (idx_t i = 0; i < inputs.size(); i++) {
      if (IsSharedView(*inputs[i].definition)) continue;
      ChangelogType before = checkpoint->input_types[p][i];
      if (input_types_[p][i] != before && before != ChangelogType::kUpsert) {
        Throw(
            ErrorCode::kInvalid,
            "Resuming job '{}': the changes of table '{}' were of type '{}' and are now '{}' (does "
            "another job write it, too?); start over with --fresh",
            options_.name, inputs[i].definition->path.ToString(), ChangelogTypeName(before),
            ChangelogTypeName(input_types_[p][i]));
      }
      input_types_[p][i] = before;
    }
  }
}

void Job::Start() {
  postponed_ = AwaitsFirstData() && !(folder_ && folder_->Latest());
  if (!postponed_) StartFlows();
}

bool Job::AwaitsFirstData() const {
  for (const auto& group : groups_) {
    if (!group->source->AwaitsFirstData()) return false;
  }
  return !groups_.empty();
}

void Job::StartFlows() {
  std::lock_guard lock(flows_mutex_);
  postponed_ = false;
  DecideInputTypes();
  for (const auto& group : groups_) {
    for (idx_t t = 0; t < group->tables.size(); t++) {
      for (const auto& consumer : group->consumers[t]) {
        group->source->RelyOn(t, input_types_[consumer->pipeline][consumer->input]);
      }
    }
  }
  for (idx_t p : order_) {
    ChangelogType type = pipelines_[p].flow->Start(input_types_[p]);
    for (const auto& fed : fed_[p]) input_types_[fed->pipeline][fed->input] = type;
    if (pipelines_[p].sink->Accepts() == ChangelogType::kAppend && type != ChangelogType::kAppend) {
      Throw(
          ErrorCode::kInvalid,
          "Inserting into '{}': it takes new rows only, but the query's result changes ({}); give "
          "the table a PRIMARY KEY, or choose a sink that takes updates",
          pipelines_[p].target, ChangelogTypeName(type));
    }
    pipelines_[p].sink->SetInputType(type);
    journaled_ = journaled_ || pipelines_[p].sink->ShowsSteps();
  }
  journaled_ = journaled_ && folder_ != nullptr;
  TellMembers();
}

// Before the first of them has anything of this job: readers of several wait for all.
void Job::TellMembers() const {
  GroupMembers members;
  for (const JobTarget& target : options_.targets) {
    if (!target.table.empty()) members[target.table] = target.logged;
  }
  if (members.size() > 1) {
    PublishGroupMembers(environment_.files, options_.commit_user, members);
  }
}

void Job::Run() {
  started_us_ = environment_.clock.MonotonicUs();
  {
    std::lock_guard lock(mutex_);
    state_ = JobState::kRunning;
  }
  std::optional<Error> failure;
  try {
    Loop();
  } catch (const std::exception& exception) {
    failure = ErrorFrom(exception, ErrorCode::kData);
  }
  AwaitLastCheckpoint(failure);
  ended_us_ = environment_.clock.MonotonicUs();
  std::vector<PipelineFigures> at_end = Figures();
  {
    std::lock_guard lock(flows_mutex_);
    at_end_ = std::move(at_end);
    for (Pipeline& pipeline : pipelines_) {
      pipeline.sink.reset();
      pipeline.flow.reset();  // Its state goes; the job may be listed for long.
    }
  }
  folder_.reset();
  std::lock_guard lock(mutex_);
  if (failure) {
    state_ = JobState::kFailed;
    std::string statement = options_.statement.substr(0, kShownStatement);
    if (statement.size() < options_.statement.size()) statement += " ...";
    failure_ =
        Error(failure->code(),
              fmt::format("Job '{}' stopped at step {}: {}{}{}", options_.name, step_,
                          failure->text(), statement.empty() ? "" : "\nStatement: ", statement));
  } else {
    state_ = cancelled_ ? JobState::kCancelled : JobState::kFinished;
  }
  changed_.notify_all();
}

void Job::Loop() {
  if (folder_) {
    auto checkpoint = folder_->Latest();
    if (checkpoint && checkpoint->finished) {
      // Long ago perhaps: the snapshots that could tell may have expired.
      if (folder_->IsCommitted(checkpoint->id)) return;
      CommitPrepared(*checkpoint);
      if (abandoned_) return;
      folder_->MarkCommitted(checkpoint->id);
      TellSources(checkpoint->cut);
      return;
    }
  }
  Restore();
  checkpoint_began_us_ = checkpoint_ended_us_ = environment_.clock.MonotonicUs();
  bool first = step_ == 0;
  while (!abandoned_) {
    if (checkpoint_ && checkpoint_->HasEnded()) EndCheckpoint();
    int64_t asked_idle, asked_checkpoint;
    {
      std::lock_guard lock(mutex_);
      asked_idle = idle_asked_;
      asked_checkpoint = checkpoints_asked_;
    }
    if (postponed_ && !cancelled_ && AwaitsFirstData()) {
      std::unique_lock lock(mutex_);
      bool asked = asked_idle > idle_done_ || asked_checkpoint > checkpoints_done_;
      if (!asked) {
        changed_.wait_for(lock, std::chrono::milliseconds(kIdleWaitMs));
        continue;
      }
    }
    if (postponed_) StartFlows();
    if (cancelled_) {
      EndCheckpoint();
      if (folder_ && dirty_ && !abandoned_) TakeCheckpoint(false);
      return;
    }
    int64_t rows_before = rows_in_;
    BeginStep(WantedRows());
    SourceStatus status = ReadStep();
    if (abandoned_) return;
    bool moved = first || status == SourceStatus::kProgress || rows_in_ != rows_before;
    if (moved) FinishStep(false);
    if (status == SourceStatus::kIdle) {  // Between steps: what waits within one would be lost.
      for (Pipeline& pipeline : pipelines_) pipeline.flow->Trim();
    }
    first = false;
    if (status == SourceStatus::kEnd) {
      if (folder_ && !abandoned_) TakeCheckpoint(true);
      return;
    }
    // One at a time: the next waits for its turn, and the job does not.
    if (folder_ && !checkpoint_ && (IsCheckpointDue() || asked_checkpoint > checkpoints_done_)) {
      BeginCheckpoint(false, asked_checkpoint);
    }
    std::unique_lock lock(mutex_);
    if (!folder_) checkpoints_done_ = std::max(checkpoints_done_, asked_checkpoint);
    if (status == SourceStatus::kIdle) idle_done_ = std::max(idle_done_, asked_idle);
    changed_.notify_all();
    if (status == SourceStatus::kIdle && !cancelled_ && idle_asked_ == idle_done_ &&
        (checkpoint_ || checkpoints_asked_ == checkpoints_done_)) {
      changed_.wait_for(lock, std::chrono::milliseconds(kIdleWaitMs));
    }
  }
}

idx_t Job::WantedRows() const {
  idx_t wanted = 0;
  if (options_.step_rows_fixed) return wanted;
  for (const Pipeline& pipeline : pipelines_) {
    wanted = std::max(wanted, pipeline.flow->WantedRows());
  }
  return wanted;
}

void Job::BeginStep(idx_t wanted_rows) {
  wanted_rows_ = wanted_rows;
  for (Pipeline& pipeline : pipelines_) pipeline.flow->BeginStep(wanted_rows);
}

// Rows go into the dataflows as they come: all that waits is the end of the step. In which order
// they came decides about the order of its output, so replay must read in the same parts.
SourceStatus Job::ReadStep() {
  reads_.clear();
  int64_t before = rows_in_;
  idx_t most = std::max(options_.step_rows, wanted_rows_);
  SourceStatus status = ReadSources(nullptr, most);
  int64_t until_us = environment_.clock.MonotonicUs() + options_.step_latency_ms * 1000;
  auto rows = [&] { return static_cast<idx_t>(rows_in_ - before); };
  while (rows() > 0 && rows() < most && AwaitsMore(status, until_us)) {
    Cut here = CurrentCut();
    status = ReadSources(nullptr, most - rows());
    if (CurrentCut() != here) reads_.push_back(std::move(here));
  }
  return status;
}

bool Job::AwaitsMore(SourceStatus status, int64_t until_us) {
  if (status == SourceStatus::kEnd || cancelled_) return false;
  int64_t now_us = environment_.clock.MonotonicUs();
  if (now_us >= until_us) return false;
  // A checkpoint is between two steps.
  if (folder_ && !checkpoint_ && IsCheckpointTime()) return false;
  if (status == SourceStatus::kProgress) return true;
  std::unique_lock lock(mutex_);
  auto asked = [&] {
    return cancelled_ || idle_asked_ > idle_done_ || checkpoints_asked_ > checkpoints_done_;
  };
  if (asked()) return false;
  int64_t wait_us = std::min<int64_t>(until_us - now_us, kIdleWaitMs * 1000);
  changed_.wait_for(lock, std::chrono::microseconds(wait_us));
  return !asked();
}

SourceStatus Job::ReadSources(const Cut* until, idx_t rows) {
  idx_t live = 0;
  for (const auto& group : groups_) live += group->ended ? 0 : 1;
  bool progress = false, all_ended = true;
  for (idx_t g = 0; g < groups_.size(); g++) {
    SourceGroup& group = *groups_[g];
    if (group.ended) continue;
    ReadLimit limit;
    limit.max_rows = std::max<idx_t>(1, rows / std::max<idx_t>(1, live));
    if (until) {
      if ((*until)[g] == group.source->Position()) {
        all_ended = false;
        continue;
      }
      limit.until = (*until)[g];
    }
    SourceStatus status = group.source->Read(
        limit, [&](idx_t table, ChangeChunk& chunk) { Deliver(group, table, chunk); });
    group.ended = status == SourceStatus::kEnd && !until;
    all_ended = all_ended && status == SourceStatus::kEnd;
    progress = progress || status == SourceStatus::kProgress;
    event_time_ms_ = std::max<int64_t>(event_time_ms_, group.source->EventTimeMs());
    if (cancelled_ && !folder_) break;
  }
  int64_t skipped = 0;
  for (const auto& group : groups_) skipped += group->source->SkippedRecords();
  skipped_ = skipped;
  if (all_ended) return SourceStatus::kEnd;
  return progress ? SourceStatus::kProgress : SourceStatus::kIdle;
}

void Job::Deliver(SourceGroup& group, idx_t table, ChangeChunk& chunk) {
  if (abandoned_ || chunk.size() == 0) return;
  rows_in_ += static_cast<int64_t>(chunk.size());
  for (auto& consumer : group.consumers[table]) Feed(*consumer, chunk);
}

void Job::Feed(Consumer& consumer, ChangeChunk& chunk) {
  for (idx_t c = 0; c < consumer.columns.size(); c++) {
    consumer.view.rows.data[c].Reference(chunk.rows.data[consumer.columns[c]]);
  }
  consumer.view.rows.SetCardinality(chunk.size());
  consumer.view.kinds = chunk.kinds;
  pipelines_[consumer.pipeline].flow->Push(consumer.input, consumer.view,
                                           [&](ChangeChunk& out) { Emit(consumer.pipeline, out); });
}

void Job::Emit(idx_t pipeline, ChangeChunk& chunk) {
  if (abandoned_ || chunk.size() == 0) return;
  for (auto& consumer : fed_[pipeline]) Feed(*consumer, chunk);
  if (silent_ || !fed_[pipeline].empty()) return;
  rows_out_ += static_cast<int64_t>(chunk.size());
  pipelines_[pipeline].sink->Write(chunk);
}

void Job::EndFlows() {
  for (idx_t p : order_) {
    pipelines_[p].flow->EndStep([&](ChangeChunk& out) { Emit(p, out); });
  }
}

void Job::FinishStep(bool replay) {
  EndFlows();
  if (abandoned_) return;
  step_++;
  // The step's number and cut are durable before any of its output is visible.
  if (journaled_ && !replay) folder_->AppendJournal({step_, CurrentCut(), wanted_rows_, reads_});
  int64_t state = 0;
  for (Pipeline& pipeline : pipelines_) {
    pipeline.sink->EndStep(step_);
    state += pipeline.flow->StateBytes();
  }
  if (!folder_) TellSources(CurrentCut());
  state_bytes_ = state;
  steps_ = step_;
  dirty_ = true;
}

Cut Job::CurrentCut() const {
  Cut cut;
  for (const auto& group : groups_) cut.push_back(group->source->Position());
  return cut;
}

void Job::Cancel() {
  cancelled_ = true;
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void Job::Abandon() {
  abandoned_ = true;
  Cancel();
}

bool Job::CheckpointNow() {
  std::unique_lock lock(mutex_);
  int64_t ticket = ++checkpoints_asked_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return checkpoints_done_ >= ticket || state_ > JobState::kRunning; });
  return checkpoints_done_ >= ticket;
}

bool Job::WaitUntilIdle() {
  std::unique_lock lock(mutex_);
  int64_t ticket = ++idle_asked_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return idle_done_ >= ticket || state_ > JobState::kRunning; });
  return state_ != JobState::kFailed;
}

void Job::Wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return state_ > JobState::kRunning; });
}

bool Job::IsBounded() const {
  for (const auto& group : groups_) {
    if (!group->source->IsBounded()) return false;
  }
  return true;
}

JobState Job::State() const {
  std::lock_guard lock(mutex_);
  return state_;
}

std::optional<Error> Job::Failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

JobStatistics Job::Statistics() const {
  JobStatistics statistics;
  statistics.steps = steps_;
  statistics.checkpoints = checkpoints_;
  statistics.rows_in = rows_in_;
  statistics.rows_out = rows_out_;
  statistics.state_bytes = state_bytes_;
  statistics.skipped = skipped_;
  if (event_time_ms_ > 0) {
    statistics.lag_ms = std::max<int64_t>(0, environment_.clock.NowMs() - event_time_ms_);
  }
  int64_t end = ended_us_ > 0 ? ended_us_.load() : environment_.clock.MonotonicUs();
  if (started_us_ > 0) statistics.seconds = static_cast<double>(end - started_us_) / 1e6;
  return statistics;
}

std::vector<PipelineFigures> Job::Figures() const {
  std::lock_guard lock(flows_mutex_);
  if (!at_end_.empty()) return at_end_;
  std::vector<PipelineFigures> figures;
  for (const Pipeline& pipeline : pipelines_) {
    figures.push_back({pipeline.target, pipeline.flow->Lines()});
  }
  return figures;
}

}  // namespace millrace
