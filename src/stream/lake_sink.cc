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
    writer_ = table_->NewWriter(options_.user);
  }

  ChangelogType Accepts() const override {
    if (!table_->HasPrimaryKey()) return ChangelogType::kAppend;
    auto producer = table_->options().find("changelog-producer");
    bool keeps_input = producer != table_->options().end() && producer->second == "input";
    return keeps_input || log_ ? ChangelogType::kFull : ChangelogType::kUpsert;
  }
  bool ShowsSteps() const override { return log_ != nullptr; }
  // The table's changelog is full when all of it comes from one writer whose own input is full:
  // then no row is overwritten whose old values are not there.
  void SetInputType(ChangelogType type) override {
    auto latest = table_->LatestSnapshot();
    if (type != ChangelogType::kFull) return;
    full_ = !latest;
    if (!latest) return;
    auto writer = latest->properties.find(kInputFullProperty);
    full_ = writer != latest->properties.end() && writer->second == options_.user;
  }

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
    if (empty_ && !log_) return "";
    Committable committable = writer_->PrepareCommit();
    if (log_) committable.log_offsets[0] = log_->EndOffset();
    if (full_) committable.properties[kInputFullProperty] = options_.user;
    if (!options_.batch) {
      committable.properties[kGroupProperty] = fmt::format("{}/{}", options_.group, checkpoint);
    }
    empty_ = true;
    return committable.ToJson();
  }

  std::optional<Published> Commit(int64_t checkpoint, const std::string& prepared) override {
    if (prepared.empty()) return std::nullopt;
    int64_t identifier = options_.batch ? kBatchCommitIdentifier : checkpoint;
    auto id = table_->Commit(Committable::FromJson(prepared), options_.user, identifier);
    if (!id) return std::nullopt;
    return Published{table_->folder(), *id};
  }

 private:
  const std::shared_ptr<const Table> table_;
  const LakeSinkOptions options_;
  std::unique_ptr<LogWriter> log_;
  std::unique_ptr<TableWriter> writer_;
  bool full_ = false;
  bool empty_ = true;
};

}  // namespace

std::unique_ptr<Sink> MakeLakeSink(std::shared_ptr<const Table> table,
                                   const LakeSinkOptions& options) {
  return std::make_unique<LakeSink>(std::move(table), options);
}

}  // namespace millrace
