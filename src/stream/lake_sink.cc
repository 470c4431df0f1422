#include "stream/lake_sink.h"

#include "base/error.h"
#include "table/changes.h"
#include "table/commit_group.h"
#include "table/log/table_log.h"

namespace millrace {

namespace {

class LakeSink : public Sink {
 public:
  LakeSink(std::shared_ptr<const Table> table, const LakeSinkOptions& options)
      : table_(std::move(table)), options_(options) {
    auto log = table_->options().find("log.system");
    if (log != table_->options().end() && log->second == "local") {
      std::vector<DataType> types;
      for (const DataField& field : table_->schema().fields) types.push_back(field.type);
      log_ =
          std::make_unique<LogWriter>(table_->context().files, table_->folder(), std::move(types));
    }
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
    if (log_) log_->Add(chunk);
    writer_->Write(chunk);
    empty_ = false;
  }

  void EndStep(int64_t step) override {
    if (log_) log_->EndStep(options_.user, step, table_->context().clock.NowMs());
  }

  std::optional<int64_t> LastStep() override {
    return log_ ? log_->LastStep(options_.user) : std::nullopt;
  }

  std::string Prepare(int64_t checkpoint) override {
    prepared_ = checkpoint;
    if (empty_ && !log_ && !options_.overwrite) return "";
    Committable committable =
        options_.batch ? writer_->PrepareCommit() : writer_->PrepareStreamCommit();
    if (log_) committable.log_offsets[0] = log_->EndOffset();
    if (full_) committable.properties[kInputFullProperty] = options_.user;
    if (!options_.batch) {
      committable.properties[kGroupProperty] = fmt::format("{}/{}", options_.group, checkpoint);
    }
    committable.overwrite = options_.overwrite;
    empty_ = true;
    return committable.ToJson();
  }

  std::optional<Published> Commit(int64_t checkpoint, const std::string& prepared) override {
    if (prepared.empty()) return std::nullopt;
    if (checkpoint != prepared_) {
      // A repeat, perhaps long after: the snapshots that could tell may have expired, the group
      // tells as well.
      if (auto done = PublishedInGroup(checkpoint)) return done;
    }
    int64_t identifier = options_.batch ? kBatchCommitIdentifier : checkpoint;
    auto id = table_->Commit(Committable::FromJson(prepared), options_.user, identifier);
    if (!id) return std::nullopt;
    return Published{table_->folder(), *id};
  }

 private:
  std::optional<Published> PublishedInGroup(int64_t checkpoint) const {
    if (options_.batch) return std::nullopt;
    auto group =
        LatestCommitGroup(table_->context().files, WarehouseOf(table_->folder()), options_.group);
    if (!group || group->checkpoint < checkpoint) return std::nullopt;
    auto member = group->snapshots.find(table_->folder());
    if (member == group->snapshots.end()) return std::nullopt;
    return Published{table_->folder(), member->second};
  }

  const std::shared_ptr<const Table> table_;
  const LakeSinkOptions options_;
  std::unique_ptr<LogWriter> log_;
  std::unique_ptr<TableWriter> writer_;
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
