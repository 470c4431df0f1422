#include "table/tag_store.h"

#include <algorithm>

#include "base/error.h"

namespace millrace {

namespace {
constexpr std::string_view kPrefix = "tag-";
}

TagStore::TagStore(FileSystem& files, const std::string& table_folder)
    : files_(files), folder_(JoinPath(table_folder, "tag")) {}

std::string TagStore::PathOf(const std::string& name) const {
  return JoinPath(folder_, std::string(kPrefix) + name);
}

std::optional<Tag> TagStore::Find(const std::string& name) const {
  if (name.empty() || name.find('/') != std::string::npos) return std::nullopt;
  std::string path = PathOf(name);
  try {
    return TagFromJson(files_.Read(path), path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return std::nullopt;
  }
}

Tag TagStore::Need(const std::string& name) const {
  if (auto tag = Find(name)) return *tag;
  std::vector<std::string> names = Names();
  std::string known = names.empty() ? "it has no tags" : DidYouMean(name, names);
  if (known.empty()) {
    size_t shown = std::min<size_t>(names.size(), 5);
    known = fmt::format("its tags are {}{}", fmt::join(names.begin(), names.begin() + shown, ", "),
                        shown < names.size() ? " ..." : "");
  }
  Throw(ErrorCode::kNotFound, "There is no tag '{}' of this table{}{}", name,
        known.starts_with(";") ? "" : "; ", known);
}

std::vector<std::string> TagStore::Names() const {
  std::vector<std::string> names;
  for (const FileEntry& entry : files_.List(folder_)) {
    if (!entry.is_folder && entry.name.starts_with(kPrefix)) {
      names.push_back(entry.name.substr(kPrefix.size()));
    }
  }
  return names;
}

std::vector<NamedTag> TagStore::All() const {
  std::vector<NamedTag> tags;
  for (const std::string& name : Names()) {
    if (auto tag = Find(name)) tags.push_back({name, std::move(*tag)});
  }
  std::stable_sort(tags.begin(), tags.end(), [](const NamedTag& a, const NamedTag& b) {
    return a.tag.snapshot.id < b.tag.snapshot.id;
  });
  return tags;
}

bool TagStore::Create(const std::string& name, const Tag& tag) {
  return files_.CreateExclusive(PathOf(name), TagToJson(tag)) == CreateOutcome::kCreated;
}

void TagStore::Replace(const std::string& name, const Tag& tag) {
  files_.Overwrite(PathOf(name), TagToJson(tag));
}

void TagStore::Rename(const std::string& from, const std::string& to) {
  files_.Rename(PathOf(from), PathOf(to));
}

bool TagStore::Remove(const std::string& name) {
  return files_.Delete(PathOf(name));
}

}  // namespace millrace
