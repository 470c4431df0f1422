#include "stream/lake_sink.h"

#include <numeric>
#include <set>

#include "base/error.h"
#include "stream/lake_source.h"
#include "stream/log_redo.h"
#include "stream/waiting_rows.h"
#include "table/changes.h"
#include "table/commit_group.h"

namespace millrace {

namespace {

constexpr int64_t kOnlyStep = 1;  // Of an INSERT in batch mode.

class LakeSink : public Sink {
 public:
  LakeSink(std::shared_ptr<const Table> table, const LakeSinkOptions& options)
      : table_(std::move(table)),
        options_(options),
        identity_(LakeTableIdentity(table_->context().files, table_->folder())),
        waiting_(table_->context().budget) {
    if (HasLog(*table_)) TakeLog();
    writer_ = table_->NewWriter(options_.user, {.overwrite = options_.overwrite.has_value()});
  }

  ChangelogType Accepts() const override {
    ChangelogType type = table_->InputType();
    return type == ChangelogType::kUpsert && log_ ? ChangelogType::kFull : type;
  }
  bool ShowsSteps() const override { return log_ != nullptr; }
  // Whether the table's changelog is full, too, is seen at each commit: see kInputFullProperty.
  void SetInputType(ChangelogType type) override { full_ = type == ChangelogType::kFull; }

  void Write(ChangeChunk& chunk) override {
    if (log_ && !options_.batch) log_->Add(chunk);
    empty_ = false;
    if (waiting_.Keep(chunk)) return;
    TakeWaiting();
    writer_->Write(chunk);
  }

  void EndStep(int64_t step) override {
    if (log_ && !options_.batch) {
      log_->EndStep({options_.user, step, table_->context().clock.NowMs(), false, full_});
    }
  }

  std::optional<int64_t> LastStep() override {
    return log_ ? log_->LastStep(options_.user) : std::nullopt;
  }
  std::optional<int64_t> CommittedStep() override {
    return log_ ? log_->CommittedStep(options_.user) : std::nullopt;
  }

  std::string Prepare(int64_t checkpoint) override { return BeginPrepare(checkpoint)(); }

  // Here it is decided what belongs to the checkpoint: the log goes on at once, rows for the writer
  // wait until it has closed its files.
  std::function<std::string()> BeginPrepare(int64_t checkpoint) override {
    TakeWaiting();
    prepared_ = checkpoint;
    if (empty_ && (!log_ || options_.batch) && !options_.overwrite) {
      return [] { return std::string(); };
    }
    empty_ = true;
    Committable about;
    if (log_) about.properties[kUnloggedProperty] = "";
    if (log_ && !options_.batch) about.log_offsets[0] = log_->EndOffset();
    if (full_) about.properties[kInputFullProperty] = options_.user;
    if (!options_.batch) {
      about.properties[kGroupProperty] = fmt::format("{}/{}", options_.group, checkpoint);
    }
    about.overwrite = options_.overwrite;
    return [this, about = std::move(about), loan = waiting_.Lend()]() mutable {
      try {
        Committable closed = CloseFiles();
        about.buckets = std::move(closed.buckets);
        about.sync = std::move(closed.sync);
      } catch (...) {
        loan->Fail(std::current_exception());
        throw;
      }
      loan->Done();
      loan.reset();
      return about.ToJson();
    };
  }

  std::optional<Published> Commit(int64_t checkpoint, const std::string& prepared) override {
    if (prepared.empty()) return std::nullopt;
    Committable committable = Committable::FromJson(prepared);
    if (LakeTableIdentity(table_->context().files, table_->folder()) != identity_) {
      Throw(
          ErrorCode::kConflict,
          "Cannot commit to table {}: it was dropped, or made anew, while it was written; run the "
          "script again.",
          table_->folder());
    }
    if (checkpoint != prepared_) {
      if (auto done = DoneBefore(checkpoint, committable)) return done;
    }
    if (log_ && options_.batch) Show(committable);
    int64_t identifier = options_.batch ? kBatchCommitIdentifier : checkpoint;
    auto id = table_->Commit(committable, options_.user, identifier);
    if (!id) return std::nullopt;
    return Published{table_->folder(), *id};
  }

 private:
  void TakeWaiting() {
    waiting_.TakeAll([this](ChangeChunk& chunk) { writer_->Write(chunk); });
  }

  Committable CloseFiles() {
    return options_.batch ? writer_->PrepareCommit() : writer_->PrepareStreamCommit();
  }

  void TakeLog() {
    log_ = OpenLog(*table_);
    auto left_behind = [&](const LogBatch& batch) { return batch.job != options_.user; };
    for (const LogBatch& batch : log_->Tail()) {
      if (!left_behind(batch) || batch.rows == 0 || batch.whole_job || options_.take_over) continue;
      Throw(
          ErrorCode::kConflict,
          "Writing table {}: job '{}' has shown steps up to {} in its log that are not in its "
          "files yet. Run that job's script again, so that it goes on; or run yours with --fresh, "
          "which commits them.",
          table_->folder(), batch.job, batch.step);
    }
    if (!RedoLog(*table_, *log_, left_behind, {})) return;
    std::set<std::string> ended;  // Readers that follow them in several logs do not wait.
    for (const LogBatch& batch : log_->Tail()) {
      if (left_behind(batch) && !batch.whole_job) ended.insert(batch.job);
    }
    log_.reset();
    log_ = OpenLog(*table_);
    for (const std::string& job : ended) {
      log_->EndStep({job, kLastLogStep, table_->context().clock.NowMs()});
    }
  }

  /// A repeat, perhaps long after: the snapshots that could tell may have expired, or others have
  /// committed it from the log.
  std::optional<Published> DoneBefore(int64_t checkpoint, const Committable& committable) const {
    auto latest = table_->LatestSnapshot();
    if (options_.batch) {
      bool done = latest && log_ && log_->CommittedStep(options_.user);
      return done ? std::optional(Published{table_->folder(), latest->id}) : std::nullopt;
    }
    auto group =
        LatestCommitGroup(table_->context().files, WarehouseOf(table_->folder()), options_.group);
    if (group && group->checkpoint >= checkpoint) {
      auto member = group->snapshots.find(table_->folder());
      if (member != group->snapshots.end()) return Published{table_->folder(), member->second};
    }
    auto offset = committable.log_offsets.find(0);
    if (!latest || offset == committable.log_offsets.end()) return std::nullopt;
    if (LogOffsetAt(*table_, latest) < offset->second) return std::nullopt;
    return Published{table_->folder(), latest->id};
  }

  /// Brings the prepared rows into the log, once.
  void Show(Committable& committable) {
    if (!log_->LastStep(options_.user)) {
      std::vector<idx_t> columns(table_->schema().fields.size());
      std::iota(columns.begin(), columns.end(), idx_t(0));
      std::vector<Split> splits;
      for (const BucketChange& bucket : committable.buckets) {
        Split& split = splits.emplace_back();
        split.partition = bucket.partition;
        split.bucket = bucket.bucket;
        split.files = bucket.changelog_files.empty() ? bucket.new_files : bucket.changelog_files;
      }
      table_->ReadChanges(splits, columns, [&](ChangeChunk& chunk) { log_->Add(chunk); });
      log_->EndStep({options_.user, kOnlyStep, table_->context().clock.NowMs(), true, full_});
    }
    committable.log_offsets[0] = log_->EndOffset();
  }

  const std::shared_ptr<const Table> table_;
  const LakeSinkOptions options_;
  const std::string identity_;  // Of the making that was opened.
  std::unique_ptr<LogWriter> log_;
  std::unique_ptr<TableWriter> writer_;
  WaitingRows waiting_;
  bool full_ = false;
  bool empty_ = true;
  int64_t prepared_ = 0;  // The newest checkpoint that this sink has prepared.
};

}  // namespace

std::unique_ptr<Sink> MakeLakeSink(std::shared_ptr<const Table> table,
                                   const LakeSinkOptions& options) {
  return std::make_unique<LakeSink>(std::move(table), options);
}

}  // namespace millrace
