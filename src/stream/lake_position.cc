#include "stream/lake_position.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "meta/schema.h"

namespace millrace {

// Tables of other programs have no uuid of ours; their making is told by its millisecond.
std::string LakeTableIdentity(FileSystem& files, const std::string& folder) {
  std::string file = JoinPath(folder, "schema/schema-0");
  std::string text;
  try {
    text = files.Read(file);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return "";
  }
  TableSchema schema = SchemaFromJson(text, file);
  auto uuid = schema.options.find(kTableUuidOption);
  return fmt::format("{}@{}{}", folder, schema.time_ms,
                     uuid == schema.options.end() ? "" : "-" + uuid->second);
}

std::vector<LakeTablePosition> ParseLakePosition(const std::string& position) {
  std::vector<LakeTablePosition> tables;
  try {
    for (const nlohmann::json& table : nlohmann::json::parse(position)) {
      tables.push_back({table.at("table"), table.at("snapshot"), table.at("log")});
    }
  } catch (const nlohmann::json::exception& error) {
    Throw(ErrorCode::kCorrupt, "Reading '{}' as a position in lake tables: {}", position,
          error.what());
  }
  return tables;
}

void RefuseDisorder(const std::string& from, const std::string& to) {
  std::vector<LakeTablePosition> first = ParseLakePosition(from), last = ParseLakePosition(to);
  for (size_t i = 0; i < std::min(first.size(), last.size()); i++) {
    if (first[i].log_offset < 0 || first[i].snapshot == last[i].snapshot) continue;
    Throw(ErrorCode::kUnsupported,
          "Reading table '{}' once more from offset {} of its log: another writer has changed it "
          "beside the log since; start over with --fresh",
          first[i].identity.substr(0, first[i].identity.rfind('@')), first[i].log_offset);
  }
}

std::string LakePosition(const std::vector<LakeTablePosition>& tables) {
  nlohmann::json json = nlohmann::json::array();
  for (const LakeTablePosition& table : tables) {
    json.push_back(
        {{"table", table.identity}, {"snapshot", table.snapshot}, {"log", table.log_offset}});
  }
  return json.dump();
}

}  // namespace millrace
