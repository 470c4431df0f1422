// job_checkpoint.cc - what a Job does at checkpoints, and when it goes on from one.
#include <algorithm>

#include "base/error.h"
#include "stream/job.h"
#include "stream/lake_source.h"
#include "table/commit_group.h"

namespace millrace {

namespace {

/// The time zone in a fingerprint; "" if it names none.
std::string ZoneOf(const std::string& fingerprint) {
  size_t mark = fingerprint.find(kFingerprintZone);
  return mark == std::string::npos ? "" : fingerprint.substr(mark + 1);
}

}  // namespace

// State of another plan, or of other tables, is none.
void Job::CheckPlan(const Checkpoint& checkpoint) const {
  if (checkpoint.cut.size() != groups_.size() || checkpoint.prepared.size() != pipelines_.size() ||
      checkpoint.state.size() != pipelines_.size()) {
    Throw(ErrorCode::kInvalid,
          "Resuming job '{}': its tables have changed since checkpoint {}; start "
          "over with --fresh",
          options_.name, checkpoint.id);
  }
  for (idx_t p = 0; p < pipelines_.size(); p++) {
    if (checkpoint.fingerprints[p] == pipelines_[p].flow->Fingerprint()) continue;
    std::string before = ZoneOf(checkpoint.fingerprints[p]);
    std::string now = ZoneOf(pipelines_[p].flow->Fingerprint());
    if (before != now && !before.empty() && !now.empty()) {
      Throw(ErrorCode::kInvalid,
            "Resuming job '{}': what it has computed is in the local time of '{}', and the "
            "session's zone is '{}'; SET 'table.local-time-zone' = '{}', or start over with "
            "--fresh",
            options_.name, before, now, before);
    }
    Throw(ErrorCode::kInvalid,
          "Resuming job '{}': the plan of the query into '{}' is another than "
          "that of checkpoint {} (was a table or view changed?); start over with --fresh",
          options_.name, pipelines_[p].target, checkpoint.id);
  }
}

Checkpoint Job::ChooseState(const Checkpoint& newest) const {
  std::vector<int64_t> retained = folder_->Retained();
  if (options_.restore_from && *options_.restore_from != newest.id) {
    if (std::find(retained.begin(), retained.end(), *options_.restore_from) == retained.end()) {
      Throw(ErrorCode::kNotFound,
            "Resuming job '{}': there is no checkpoint {}; retained are {}; RESET "
            "'execution.savepoint.path' to go on with the newest",
            options_.name, *options_.restore_from, fmt::join(retained, ", "));
    }
    return folder_->Read(*options_.restore_from);
  }
  if (retained.size() < 2) return newest;  // What is wrong with it, loading tells.
  std::string damage;
  for (int64_t id : retained) {
    Checkpoint checkpoint = id == newest.id ? newest : folder_->Read(id);
    std::string found = folder_->FindDamage(checkpoint);
    if (found.empty()) return checkpoint;
    damage += (damage.empty() ? "" : "; ") + found;
  }
  Throw(ErrorCode::kCorrupt,
        "Resuming job '{}': none of its {} retained checkpoints is whole: {}; start over with "
        "--fresh",
        options_.name, retained.size(), damage);
}

// What the sinks have got up to `newest` they have got, and what they were prepared for is known
// from there: only the state is made anew, from the same inputs.
void Job::CatchUp(const Checkpoint& newest) {
  Cut here = CurrentCut();
  for (idx_t g = 0; g < groups_.size(); g++) {
    bool lake = groups_[g]->tables[0].definition->Connector().empty();
    if (lake) RefuseDisorder(here[g], newest.cut[g]);
  }
  silent_ = true;
  ReadSources(&newest.cut, options_.step_rows);
  EndFlows();
  silent_ = false;
  if (CurrentCut() == newest.cut) return;
  Throw(ErrorCode::kCorrupt, "Resuming job '{}': from an older state it comes to {}, not to {}",
        options_.name, fmt::join(CurrentCut(), ", "), fmt::join(newest.cut, ", "));
}

void Job::Restore() {
  if (!folder_) return;
  auto checkpoint = folder_->Latest();
  if (options_.restore_from && !checkpoint) {
    Throw(ErrorCode::kNotFound, "Resuming job '{}': it has no checkpoint {}, nor any other",
          options_.name, *options_.restore_from);
  }
  if (checkpoint) {
    CheckPlan(*checkpoint);
    Checkpoint from = ChooseState(*checkpoint);
    CheckPlan(from);
    for (idx_t g = 0; g < groups_.size(); g++) groups_[g]->source->Seek(from.cut[g]);
    for (idx_t p = 0; p < pipelines_.size(); p++) {
      pipelines_[p].flow->Load(*folder_->State(from.id, p, from.state[p]));
    }
    if (from.id != checkpoint->id) CatchUp(*checkpoint);
    step_ = checkpoint->step;
    checkpoint_id_ = checkpoint->id;
    state_pieces_ = from.state;
    // Once more only when it may be needed: readers may have taken published files away since.
    if (!folder_->IsCommitted(checkpoint->id)) {
      CommitPrepared(*checkpoint);
      TellSources(checkpoint->cut);
    }
  }
  RefuseTakenOver();
  std::vector<JournalStep> journal = folder_->Journal(checkpoint);
  if (!journal.empty() && postponed_) StartFlows();
  for (const JournalStep& step : journal) {
    if (step.step != step_ + 1) {
      Throw(ErrorCode::kCorrupt, "Resuming job '{}': its journal goes from step {} to {}",
            options_.name, step_, step.step);
    }
    BeginStep(step.wanted_rows);
    for (const Cut& cut : step.reads) ReadSources(&cut, options_.step_rows);
    ReadSources(&step.cut, options_.step_rows);
    FinishStep(true);
  }
}

// Steps after the checkpoint that are in a table already would come there twice.
void Job::RefuseTakenOver() {
  for (Pipeline& pipeline : pipelines_) {
    auto committed = pipeline.sink->CommittedStep();
    if (!committed || *committed <= step_) continue;
    Throw(ErrorCode::kConflict,
          "Resuming job '{}': another job has taken its steps up to {} over from the log of '{}' "
          "(--fresh), and its checkpoint knows those up to {}; start over with --fresh",
          options_.name, *committed, pipeline.target, step_);
  }
}

bool Job::IsCheckpointDue() const {
  return dirty_ && IsCheckpointTime();
}

bool Job::IsCheckpointTime() const {
  // Now and then a state is saved whole: what takes long is done less often, so that the job spends
  // a fifth of its time on it at most.
  int64_t now_us = environment_.clock.MonotonicUs();
  return now_us - checkpoint_began_us_ >= options_.checkpoint_interval_ms * 1000 &&
         now_us - checkpoint_ended_us_ >= 4 * saving_us_;
}

// What belongs to the checkpoint is decided here, in the job's thread; the rest goes on beside it.
void Job::BeginCheckpoint(bool finished, int64_t asked) {
  MILLRACE_CHECK(!checkpoint_);
  checkpoint_began_us_ = environment_.clock.MonotonicUs();
  CheckpointParts parts;
  Checkpoint& checkpoint = parts.checkpoint;
  checkpoint.id = checkpoint_id_ + 1;
  checkpoint.step = step_;
  checkpoint.cut = CurrentCut();
  checkpoint.input_types = input_types_;
  checkpoint.finished = finished;
  if (finished) checkpoint.run = options_.run;
  for (Pipeline& pipeline : pipelines_) {
    checkpoint.fingerprints.push_back(pipeline.flow->Fingerprint());
    parts.prepare.push_back(pipeline.sink->BeginPrepare(checkpoint.id));
  }
  if (!finished) parts.pieces = state_pieces_;
  if (!finished) parts.pieces.resize(pipelines_.size());
  parts.conclude = [this](const Checkpoint& whole) { PublishCheckpoint(whole); };
  parts.ended = [this] {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
  };
  if (abandoned_) return;
  // Steps from here on are journalled as its own, also while it does not exist yet.
  folder_->StartJournal(checkpoint.id);
  checkpoint_asked_ = asked;
  checkpoint_ = std::make_unique<CheckpointRun>(*folder_, std::move(parts));
  for (idx_t p = 0; !finished && p < pipelines_.size(); p++) {
    pipelines_[p].flow->Save(*checkpoint_->State(p));
  }
  checkpoint_->EndState();
  saving_us_ = environment_.clock.MonotonicUs() - checkpoint_began_us_;
  dirty_ = false;
}

// In a thread of the checkpoint.
void Job::PublishCheckpoint(const Checkpoint& checkpoint) {
  if (abandoned_) return;
  folder_->Publish(checkpoint, options_.retained_checkpoints);
  CommitPrepared(checkpoint);
  if (abandoned_) return;
  checkpoint.finished ? folder_->MarkCommitted(checkpoint.id)
                      : folder_->NoteCommitted(checkpoint.id);
}

void Job::EndCheckpoint() {
  if (!checkpoint_) return;
  std::unique_ptr<CheckpointRun> run = std::move(checkpoint_);
  Checkpoint done = run->Finish();
  if (abandoned_) return;
  checkpoint_id_ = done.id;
  if (!done.finished) state_pieces_ = done.state;
  TellSources(done.cut);
  checkpoint_ended_us_ = environment_.clock.MonotonicUs();
  checkpoints_++;
  std::lock_guard lock(mutex_);
  checkpoints_done_ = std::max(checkpoints_done_, checkpoint_asked_);
  changed_.notify_all();
}

void Job::TakeCheckpoint(bool finished) {
  EndCheckpoint();
  if (abandoned_) return;
  BeginCheckpoint(finished, checkpoint_asked_);
  EndCheckpoint();
}

// A step that fails leaves a checkpoint to its end. When both have failed, the steps may have
// failed for want of what the checkpoint has.
void Job::AwaitLastCheckpoint(std::optional<Error>& failure) {
  if (checkpoint_) checkpoint_->GiveUp();
  try {
    EndCheckpoint();
  } catch (const std::exception& exception) {
    Error error = ErrorFrom(exception, ErrorCode::kData);
    if (!failure || error.code() != ErrorCode::kCancelled) failure = error;
  }
  checkpoint_.reset();
}

void Job::CommitPrepared(const Checkpoint& checkpoint) {
  if (abandoned_) return;
  CommitGroup group{options_.commit_user, checkpoint.id, {}};
  for (idx_t p = 0; p < pipelines_.size(); p++) {
    auto published = pipelines_[p].sink->Commit(checkpoint.id, checkpoint.prepared[p]);
    if (published) group.snapshots[published->table] = published->snapshot_id;
  }
  PublishCommitGroup(environment_.files, group);
}

void Job::TellSources(const Cut& cut) {
  for (idx_t g = 0; g < groups_.size(); g++) groups_[g]->source->Consumed(cut[g]);
}

}  // namespace millrace
