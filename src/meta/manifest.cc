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

std::vector<ManifestEntry> MergeManifestEntries(const std::vector<ManifestEntry>& entries) {
  std::unordered_map<std::string, size_t> position;  // Of the entry that is in force.
  std::vector<const ManifestEntry*> kept;            // Null where a DELETE met its ADD.
  for (const ManifestEntry& entry : entries) {
    std::string identifier = FileIdentifier(entry);
    auto found = position.find(identifier);
    if (entry.kind == FileKind::kAdd) {
      if (found != position.end()) {
        Throw(ErrorCode::kCorrupt,
              "Merging manifests: file '{}' (bucket {}, level {}) is added twice",
              entry.file.file_name, entry.bucket, entry.file.level);
      }
    } else if (found != position.end()) {
      kept[found->second] = nullptr;
      position.erase(found);
      continue;
    }
    position.emplace(std::move(identifier), kept.size());
    kept.push_back(&entry);
  }
  std::vector<ManifestEntry> merged;
  for (const ManifestEntry* entry : kept) {
    if (entry != nullptr) merged.push_back(*entry);
  }
  return merged;
}

}  // namespace millrace
