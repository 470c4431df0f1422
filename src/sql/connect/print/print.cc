#include "sql/connect/print/print.h"

#include <iostream>

#include "format/codec/cell_text.h"
#include "sql/connect/table_options.h"

namespace millrace {

namespace {

using Cells = duckdb::RecursiveUnifiedVectorFormat;

void AppendValue(const DataType& type, const Cells& cells, idx_t row, std::string& out);

/// java.time's forms: fractions of 3, 6 or 9 digits; seconds go away when they and the fraction are
/// nil.
void AppendTimeOfCell(const DataType& type, const UnifiedVectorFormat& cells, idx_t index,
                      std::string& out) {
  size_t start = out.size();
  AppendCell(type, cells, index, {.timestamp_separator = 'T', .zone_suffix = false}, out);
  std::string_view text = std::string_view(out).substr(start);
  bool instant = type.root == TypeRoot::kTimestampLtz;
  size_t point = text.find('.');
  if (point != std::string_view::npos) {
    while ((out.size() - start - point - 1) % 3 != 0) out += '0';
  } else if (!instant && text.ends_with(":00")) {
    out.resize(out.size() - 3);
  }
  if (instant) out += 'Z';
}

void AppendList(const DataType& element, const Cells& cells, duckdb::list_entry_t entry,
                std::string& out) {
  out += '[';
  for (idx_t i = 0; i < entry.length; i++) {
    if (i > 0) out += ", ";
    AppendValue(element, cells, entry.offset + i, out);
  }
  out += ']';
}

void AppendMap(const DataType& type, const Cells& pairs, duckdb::list_entry_t entry,
               std::string& out) {
  static const DataType kCount;
  out += '{';
  for (idx_t i = 0; i < entry.length; i++) {
    if (i > 0) out += ", ";
    idx_t pair = pairs.unified.sel->get_index(entry.offset + i);
    AppendValue(type.children[0], pairs.children[0], pair, out);
    out += '=';
    AppendValue(type.root == TypeRoot::kMap ? type.children[1] : kCount, pairs.children[1], pair,
                out);
  }
  out += '}';
}

void AppendValue(const DataType& type, const Cells& cells, idx_t row, std::string& out) {
  idx_t index = cells.unified.sel->get_index(row);
  if (!cells.unified.validity.RowIsValid(index)) return void(out += "null");
  switch (type.root) {
    case TypeRoot::kTime:
    case TypeRoot::kTimestamp:
    case TypeRoot::kTimestampLtz:
      return AppendTimeOfCell(type, cells.unified, index, out);
    case TypeRoot::kBinary:
    case TypeRoot::kVarBinary: {
      const string_t& bytes = UnifiedVectorFormat::GetDataUnsafe<string_t>(cells.unified)[index];
      out += '[';
      for (idx_t i = 0; i < bytes.GetSize(); i++) {
        if (i > 0) out += ", ";
        AppendInteger(static_cast<int8_t>(bytes.GetData()[i]), out);
      }
      out += ']';
      return;
    }
    case TypeRoot::kArray:
      return AppendList(
          type.children[0], cells.children[0],
          UnifiedVectorFormat::GetDataUnsafe<duckdb::list_entry_t>(cells.unified)[index], out);
    case TypeRoot::kMap:
    case TypeRoot::kMultiset:
      return AppendMap(
          type, cells.children[0],
          UnifiedVectorFormat::GetDataUnsafe<duckdb::list_entry_t>(cells.unified)[index], out);
    case TypeRoot::kRow:
      out += "+I[";
      for (size_t i = 0; i < type.fields.size(); i++) {
        if (i > 0) out += ", ";
        AppendValue(type.fields[i].type, cells.children[i], index, out);
      }
      out += ']';
      return;
    default:
      return AppendCell(type, cells.unified, index, {}, out);
  }
}

class PrintSink : public Sink {
 public:
  PrintSink(std::ostream& out, const TableDefinition& definition) : out_(out) {
    TableOptions options(definition);
    for (DataField& field : PhysicalFields(definition)) types_.push_back(std::move(field.type));
    if (options.Has("print-identifier")) identifier_ = options.Text("print-identifier") + "> ";
    with_step_ = options.Flag("print.with-step");
  }

  ChangelogType Accepts() const override { return ChangelogType::kFull; }

  void Write(ChangeChunk& chunk) override {
    // Nothing of a step may be seen before the job's journal has it: lines wait for its end.
    AppendRowLines(chunk, types_, identifier_, lines_, &starts_);
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
  std::vector<DataType> types_;
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

void AppendRowLines(ChangeChunk& chunk, const std::vector<DataType>& types,
                    const std::string& prefix, std::string& out, std::vector<size_t>* starts) {
  std::vector<Cells> columns(types.size());
  for (size_t i = 0; i < types.size(); i++) {
    Vector::RecursiveToUnifiedFormat(chunk.rows.data[i], chunk.size(), columns[i]);
  }
  for (idx_t row = 0; row < chunk.size(); row++) {
    if (starts) starts->push_back(out.size());
    out += prefix;
    out += RowKindName(chunk.KindOf(row));
    out += '[';
    for (size_t i = 0; i < types.size(); i++) {
      if (i > 0) out += ", ";
      AppendValue(types[i], columns[i], row, out);
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
