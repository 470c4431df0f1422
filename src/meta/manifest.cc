// manifest.cc - which files are live after a sequence of ADD and DELETE entries.
#include "meta/manifest.h"

#include "base/bytes.h"
#include "base/error.h"

namespace millrace {

namespace {

/// Length first, so that no two identifiers run together.
void AppendPart(std::string& out, std::string_view part) {
  AppendVarint(out, part.size());
  out.append(part);
}

}  // namespace

std::string FileIdentifier(const ManifestEntry& entry) {
  std::string identifier;
  AppendPart(identifier, entry.partition);
  AppendLittle<int32_t>(identifier, entry.bucket);
  AppendLittle<int32_t>(identifier, entry.file.level);  // An upgrade is DELETE and ADD of one name.
  AppendPart(identifier, entry.file.file_name);
  AppendVarint(identifier, entry.file.extra_files.size());
  for (const std::string& extra : entry.file.extra_files) AppendPart(identifier, extra);
  identifier += entry.file.embedded_index ? '\1' : '\0';
  if (entry.file.embedded_index) AppendPart(identifier, *entry.file.embedded_index);
  identifier += entry.file.external_path ? '\1' : '\0';
  if (entry.file.external_path) AppendPart(identifier, *entry.file.external_path);
  return identifier;
}

std::vector<ManifestEntry> MergeManifestEntries(std::vector<ManifestEntry> entries) {
  std::unordered_map<std::string, size_t> position;  // Of the entry that is in force.
  std::vector<bool> dropped(entries.size(), false);  // A DELETE and its ADD.
  for (size_t i = 0; i < entries.size(); i++) {
    const ManifestEntry& entry = entries[i];
    auto [found, is_new] = position.try_emplace(FileIdentifier(entry), i);
    if (is_new) continue;
    if (entry.kind == FileKind::kAdd) {
      Throw(ErrorCode::kCorrupt,
            "Merging manifests: file '{}' (bucket {}, level {}) is added twice",
            entry.file.file_name, entry.bucket, entry.file.level);
    }
    dropped[found->second] = dropped[i] = true;
    position.erase(found);
  }
  std::vector<ManifestEntry> merged;
  merged.reserve(position.size());
  for (size_t i = 0; i < entries.size(); i++) {
    if (!dropped[i]) merged.push_back(std::move(entries[i]));
  }
  return merged;
}

}  // namespace millrace
