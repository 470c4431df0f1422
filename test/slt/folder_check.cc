#include "folder_check.h"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace millrace {

namespace {

namespace fs = std::filesystem;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) Throw(ErrorCode::kIo, "Reading '{}'", path);
  return text.str();
}

}  // namespace

std::vector<std::string> MatchingFiles(const std::string& glob) {
  glob_t found{};
  std::vector<std::string> files;
  if (::glob(glob.c_str(), 0, nullptr, &found) == 0) {
    files.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  globfree(&found);
  return files;
}

void Damage(const std::string& how, const std::string& path) {
  if (how == "delete") {
    fs::remove(path);
    return;
  }
  if (how != "cut" && how != "scribble") {
    Throw(ErrorCode::kSyntax, "damage cut, scribble or delete, not '{}'", how);
  }
  std::string bytes = ReadAll(path);
  if (how == "cut") bytes.resize(bytes.size() / 2);
  if (how == "scribble") {
    for (size_t i = bytes.size() / 4; i < bytes.size() * 3 / 4; i++) bytes[i] = '#';
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  if (!file.flush()) Throw(ErrorCode::kIo, "Writing '{}'", path);
}

FolderContent ReadFolder(const std::string& folder) {
  FolderContent content;
  for (auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    content[fs::relative(entry.path(), folder).string()] = ReadAll(entry.path().string());
  }
  return content;
}

std::string LostFiles(const FolderContent& before, const FolderContent& after) {
  std::string lost;
  for (auto& [path, bytes] : before) {
    auto found = after.find(path);
    if (found != after.end() && found->second == bytes) continue;
    lost += (lost.empty() ? "" : "; ") + path;
    lost += found == after.end() ? " is gone" : " was changed";
  }
  return lost;
}

}  // namespace millrace
