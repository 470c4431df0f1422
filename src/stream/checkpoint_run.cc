#include "stream/checkpoint_run.h"

#include "base/error.h"
#include "io/parallel.h"

namespace millrace {

namespace {

constexpr const char* kThreadName = "checkpoint";
constexpr size_t kMostThreads = 4;  // For one checkpoint: they wait for the disk most of the time.

}  // namespace

CheckpointRun::CheckpointRun(JobFolder& folder, CheckpointParts parts)
    : folder_(folder), parts_(std::move(parts)), executor_(MakeThreadExecutor()) {
  parts_.checkpoint.prepared.resize(parts_.prepare.size());
  task_ = executor_->Start(kThreadName, [this] { Run(); });
}

CheckpointRun::~CheckpointRun() {
  spool_.GiveUp();
  task_->Join();
}

Checkpoint CheckpointRun::Finish() {
  task_->Join();
  if (failure_) std::rethrow_exception(failure_);
  return std::move(parts_.checkpoint);
}

void CheckpointRun::Run() {
  try {
    WriteParts();
    parts_.conclude(parts_.checkpoint);
  } catch (...) {
    failure_ = std::current_exception();
  }
  spool_.Abort();
  parts_.prepare.clear();  // With what they have borrowed.
  has_ended_ = true;
  parts_.ended();
}

// The state comes first, and is begun in any case: the job waits for its being taken.
void CheckpointRun::WriteParts() {
  size_t count = 1 + parts_.prepare.size();
  RunParts(kThreadName, count, std::min(count, kMostThreads), [this](size_t part) {
    if (part == 0) return WriteState();
    parts_.checkpoint.prepared[part - 1] = parts_.prepare[part - 1]();
  });
}

void CheckpointRun::WriteState() {
  std::vector<std::unique_ptr<CheckpointState>> states;
  for (idx_t p = 0; p < parts_.pieces.size(); p++) {
    states.push_back(folder_.State(parts_.checkpoint.id, p, std::move(parts_.pieces[p])));
  }
  bool all = spool_.Drain([&](idx_t pipeline) -> StateStore& { return *states[pipeline]; });
  if (!all) Throw(ErrorCode::kCancelled, "The checkpoint was given up while it was saved");
  for (auto& state : states) parts_.checkpoint.state.push_back(state->Pieces());
  folder_.SyncState();
}

}  // namespace millrace
