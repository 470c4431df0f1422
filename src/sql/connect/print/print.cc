#include "sql/connect/print/print.h"

#include <iostream>

#include "format/codec/value_text.h"
#include "sql/connect/table_options.h"

namespace millrace {

namespace {

class PrintSink : public Sink {
 public:
  PrintSink(std::ostream& out, const TableDefinition& definition) : out_(out) {
    TableOptions options(definition);
    if (options.Has("print-identifier")) identifier_ = options.Text("print-identifier") + "> ";
    with_step_ = options.Flag("print.with-step");
  }

  ChangelogType Accepts() const override { return ChangelogType::kFull; }

  void Write(ChangeChunk& chunk) override {
    // Nothing of a step may be seen before the job's journal has it: lines wait for its end.
    AppendRowLines(chunk, identifier_, lines_, &starts_);
  }

  void EndStep(int64_t step) override {
    if (with_step_ && !lines_.empty()) {
      std::string prefix = std::to_string(step) + ": ", marked;
      starts_.push_back(lines_.size());
      for (size_t i = 0; i + 1 < starts_.size(); i++) {
        marked += prefix;
        marked.append(lines_, starts_[i], starts_[i + 1] - starts_[i]);
      }
      lines_ = std::move(marked);
    }
    Flush();
    out_.flush();
  }

  std::string Prepare(int64_t) override { return ""; }
  std::optional<Published> Commit(int64_t, const std::string&) override { return std::nullopt; }

 private:
  void Flush() {
    out_.write(lines_.data(), static_cast<std::streamsize>(lines_.size()));
    lines_.clear();
    starts_.clear();
  }

  std::ostream& out_;
  std::string identifier_;
  bool with_step_ = false;
  std::string lines_;
  std::vector<size_t> starts_;  // Of the rows in lines_: values may hold line ends.
};

class BlackholeSink : public Sink {
 public:
  ChangelogType Accepts() const override { return ChangelogType::kUpsert; }
  void Write(ChangeChunk&) override {}
  void EndStep(int64_t) override {}
  bool ShowsSteps() const override { return false; }
  std::string Prepare(int64_t) override { return ""; }
  std::optional<Published> Commit(int64_t, const std::string&) override { return std::nullopt; }
};

class PrintConnector : public Connector {
 public:
  std::string Name() const override { return "print"; }
  bool CanWrite() const override { return true; }
  std::vector<OptionInfo> KnownOptions() const override {
    return {{"print-identifier", "stands at the head of each line, before '> '"},
            {"standard-error", "'true': print to standard error"},
            {"print.with-step", "'true': each line starts with the number of its step"}};
  }
  void Validate(const TableDefinition& definition) const override {
    TableOptions(definition).Flag("standard-error");
    TableOptions(definition).Flag("print.with-step");
  }
  std::unique_ptr<Sink> MakeSink(Environment& environment, const TableDefinition& definition,
                                 const std::string&) const override {
    bool to_error = TableOptions(definition).Flag("standard-error");
    return std::make_unique<PrintSink>(to_error ? std::cerr : environment.out, definition);
  }
};

class BlackholeConnector : public Connector {
 public:
  std::string Name() const override { return "blackhole"; }
  bool CanWrite() const override { return true; }
  std::vector<OptionInfo> KnownOptions() const override { return {}; }
  void Validate(const TableDefinition&) const override {}
  std::unique_ptr<Sink> MakeSink(Environment&, const TableDefinition&,
                                 const std::string&) const override {
    return std::make_unique<BlackholeSink>();
  }
};

}  // namespace

void AppendRowLines(ChangeChunk& chunk, const std::string& prefix, std::string& out,
                    std::vector<size_t>* starts) {
  std::vector<ReadableColumn> columns(chunk.rows.ColumnCount());
  for (size_t i = 0; i < columns.size(); i++) {
    Vector::RecursiveToUnifiedFormat(chunk.rows.data[i], chunk.size(), columns[i]);
  }
  for (idx_t row = 0; row < chunk.size(); row++) {
    if (starts) starts->push_back(out.size());
    out += prefix;
    out += RowKindName(chunk.KindOf(row));
    out += '[';
    for (size_t i = 0; i < columns.size(); i++) {
      if (i > 0) out += ", ";
      AppendValue(columns[i], row, kPrintedText, out);
    }
    out += "]\n";
  }
}

void RegisterPrintConnector(ConnectorRegistry& registry) {
  registry.Register(std::make_unique<PrintConnector>());
}

void RegisterBlackholeConnector(ConnectorRegistry& registry) {
  registry.Register(std::make_unique<BlackholeConnector>());
}

}  // namespace millrace
