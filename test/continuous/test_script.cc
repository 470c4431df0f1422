#include "test_script.h"

#include <fstream>
#include <sstream>

namespace millrace {

namespace {

std::vector<std::string> Words(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

void ReplaceAll(std::string& text, const std::string& what, const std::string& with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

/// What `foreach` means by its names of groups of types.
std::vector<std::string> Expand(const std::string& word) {
  static const std::vector<std::string> kSigned = {"tinyint", "smallint", "integer", "bigint",
                                                   "hugeint"};
  static const std::vector<std::string> kUnsigned = {"utinyint", "usmallint", "uinteger", "ubigint",
                                                     "uhugeint"};
  std::vector<std::string> all;
  auto add = [&](const std::vector<std::string>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  if (word == "<signed>") {
    add(kSigned);
  } else if (word == "<unsigned>") {
    add(kUnsigned);
  } else if (word == "<integral>") {
    add(kSigned);
    add(kUnsigned);
  } else if (word == "<numeric>" || word == "<alltypes>") {
    add(kSigned);
    add(kUnsigned);
    add({"float", "double"});
    if (word == "<alltypes>") {
      add({"bool", "interval", "varchar", "date", "time", "timestamp", "timestamptz", "uuid",
           "blob"});
    }
  } else {
    all.push_back(word);
  }
  return all;
}

class Reader {
 public:
  explicit Reader(const std::string& path) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      lines_.push_back(line);
    }
  }

  TestScript Read() {
    Read(0, lines_.size(), {}, false);
    return std::move(script_);
  }

 private:
  using Variables = std::vector<std::pair<std::string, std::string>>;

  static std::string Fill(std::string text, const Variables& variables) {
    for (auto& [name, value] : variables) {
      ReplaceAll(text, "${" + name + "}", value);
      ReplaceAll(text, "{" + name + "}", value);
    }
    // The folder that the process runs in is for their files.
    for (const char* folder : {"__TEST_DIR__", "{TEMP_DIR}"}) ReplaceAll(text, folder, ".");
    return text;
  }

  size_t EndOfLoop(size_t at, size_t end) const {
    int depth = 0;
    for (; at < end; at++) {
      auto words = Words(lines_[at]);
      if (words.empty()) continue;
      bool begins = words[0] == "loop" || words[0] == "foreach" || words[0] == "concurrentloop" ||
                    words[0] == "concurrentforeach";
      if (begins) depth++;
      if (words[0] == "endloop" && --depth == 0) return at;
    }
    return end;
  }

  void Loop(const std::vector<std::string>& words, size_t at, size_t end,
            const Variables& variables, bool repeats) {
    std::vector<std::string> values;
    if (words[0].find("foreach") != std::string::npos) {
      for (size_t i = 2; i < words.size(); i++) {
        for (auto& value : Expand(words[i])) values.push_back(value);
      }
    } else if (words.size() >= 4) {
      for (long long i = std::atoll(words[2].c_str()); i < std::atoll(words[3].c_str()); i++) {
        values.push_back(std::to_string(i));
      }
    }
    for (size_t i = 0; i < values.size(); i++) {
      Variables inner = variables;
      inner.emplace_back(words[1], values[i]);
      Read(at, end, inner, repeats || i > 1);
      if (stopped_) return;
    }
  }

  void Read(size_t at, size_t end, const Variables& variables, bool repeats) {
    while (at < end && !stopped_) {
      std::string line = Fill(lines_[at], variables);
      auto words = Words(line);
      if (words.empty() || words[0][0] == '#') {
        at++;
        continue;
      }
      const std::string& word = words[0];
      if (word == "loop" || word == "foreach" || word == "concurrentloop" ||
          word == "concurrentforeach") {
        size_t last = EndOfLoop(at, end);
        if (!skipping_) Loop(words, at + 1, last, variables, repeats);
        at = last + 1;
      } else if (word == "statement" || word == "query") {
        at = Record(words, at, end, variables, repeats);
      } else if (word == "onlyif" || word == "skipif") {
        only_next_ = true;  // Conditions on a loop's variable: left out.
        at++;
      } else {
        if (word == "mode" && words.size() > 1)
          skipping_ = words[1] == "skip" || (skipping_ && words[1] != "unskip");
        if (word == "halt") stopped_ = true;
        if (word == "require" && words.size() > 1) script_.requires_.push_back(words[1]);
        if (word == "require-env" || word == "unzip") script_.requires_.push_back(word);
        at++;
      }
    }
  }

  size_t Record(const std::vector<std::string>& words, size_t at, size_t end,
                const Variables& variables, bool repeats) {
    TestRecord record;
    record.line = static_cast<int>(at) + 1;
    record.repeats = repeats;
    record.kind = words[0] == "query" ? TestRecord::Kind::kQuery : TestRecord::Kind::kStatement;
    record.may_fail =
        record.kind == TestRecord::Kind::kStatement && (words.size() < 2 || words[1] != "ok");
    if (record.kind == TestRecord::Kind::kStatement && words.size() > 2) {
      record.connection = words[2];
    }
    if (record.kind == TestRecord::Kind::kQuery && words.size() > 2 &&
        words.back().rfind("con", 0) == 0) {
      record.connection = words.back();
    }
    for (at++; at < end && !lines_[at].empty() && lines_[at] != "----"; at++) {
      record.sql += (record.sql.empty() ? "" : "\n") + Fill(lines_[at], variables);
    }
    for (; at < end && !lines_[at].empty();) at++;
    if (!skipping_ && !only_next_) script_.records.push_back(std::move(record));
    only_next_ = false;
    return at;
  }

  std::vector<std::string> lines_;
  TestScript script_;
  bool skipping_ = false;
  bool only_next_ = false;
  bool stopped_ = false;
};

}  // namespace

TestScript ReadTestScript(const std::string& path) {
  return Reader(path).Read();
}

}  // namespace millrace
