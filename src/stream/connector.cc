#include "stream/connector.h"

#include <algorithm>

#include "base/error.h"

namespace millrace {

namespace {

/// Options that Flink takes on any table. Parallelism is the engine's own business here.
const std::vector<std::string> kAnyTable = {"connector", "scan.parallelism", "sink.parallelism"};

/// '#' in `pattern` stands for a column's name (or a path into it).
bool Matches(const std::string& pattern, const std::string& name) {
  size_t mark = pattern.find('#');
  if (mark == std::string::npos) return pattern == name;
  std::string_view head(pattern.data(), mark), tail(pattern.data() + mark + 1);
  return name.size() > head.size() + tail.size() && name.starts_with(head) && name.ends_with(tail);
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

void CheckOptions(const Connector& connector, const TableDefinition& definition) {
  std::vector<OptionInfo> known = connector.KnownOptions();
  std::vector<std::string> names;
  for (const OptionInfo& option : known) names.push_back(option.name);
  std::sort(names.begin(), names.end());
  for (const auto& [name, value] : definition.options) {
    auto matches = [&](const std::string& pattern) { return Matches(pattern, name); };
    if (std::any_of(names.begin(), names.end(), matches)) continue;
    if (std::any_of(kAnyTable.begin(), kAnyTable.end(), matches)) continue;
    std::string hint = DidYouMean(name, names);
    if (hint.empty()) {
      hint =
          names.empty() ? "; it has no options" : fmt::format("; its options: {}", Joined(names));
    }
    Throw(ErrorCode::kInvalid, "Table {}: connector '{}' has no option '{}'{}",
          definition.path.ToString(), connector.Name(), name, hint);
  }
  for (const OptionInfo& option : known) {
    if (option.required && !definition.options.count(option.name)) {
      Throw(ErrorCode::kInvalid, "Table {}: connector '{}' needs the option '{}' ({})",
            definition.path.ToString(), connector.Name(), option.name, option.description);
    }
  }
}

}  // namespace

std::unique_ptr<Source> Connector::MakeSource(Environment&, const std::vector<SourceTable>& tables,
                                              bool) const {
  Throw(ErrorCode::kUnsupported, "Table {}: connector '{}' can only be written to",
        tables.empty() ? "?" : tables[0].definition->path.ToString(), Name());
}

std::unique_ptr<Sink> Connector::MakeSink(Environment&, const TableDefinition& definition,
                                          const std::string&) const {
  Throw(ErrorCode::kUnsupported, "Table {}: connector '{}' can only be read from",
        definition.path.ToString(), Name());
}

void ConnectorRegistry::Register(std::unique_ptr<Connector> connector) {
  for (const auto& other : connectors_) MILLRACE_CHECK(other->Name() != connector->Name());
  connectors_.push_back(std::move(connector));
}

const Connector& ConnectorRegistry::Get(const std::string& name) const {
  std::vector<std::string> names;
  for (const auto& connector : connectors_) {
    if (connector->Name() == name) return *connector;
    names.push_back(connector->Name());
  }
  std::sort(names.begin(), names.end());
  Throw(ErrorCode::kNotFound, "There is no connector '{}'{}; there are {}", name,
        DidYouMean(name, names), Joined(names));
}

void ConnectorRegistry::Check(const TableDefinition& definition) const {
  const Connector& connector = Get(definition.Connector());
  CheckOptions(connector, definition);
  connector.Validate(definition);
}

}  // namespace millrace
