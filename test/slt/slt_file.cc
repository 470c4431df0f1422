#include "slt_file.h"

#include <fstream>
#include <sstream>

#include "base/error.h"

namespace millrace {

namespace {

// What `require` may ask for in this build.
const std::vector<std::string> kFeatures = {"parquet", "json", "csv"};

const std::map<std::string, RecordKind> kSimpleDirectives = {
    {"stream", RecordKind::kStream},         {"feed", RecordKind::kFeed},
    {"changes", RecordKind::kChanges},       {"same-as-batch", RecordKind::kSameAsBatch},
    {"settle", RecordKind::kSettle},         {"wait", RecordKind::kWait},
    {"checkpoint", RecordKind::kCheckpoint}, {"crash", RecordKind::kCrash},
    {"restart", RecordKind::kRestart},       {"printed", RecordKind::kPrinted},
};

// Directives whose argument is the rest of the line.
const std::map<std::string, RecordKind> kLineDirectives = {
    {"file", RecordKind::kFile},         {"damage", RecordKind::kDamage},
    {"remember", RecordKind::kRemember}, {"untouched", RecordKind::kUntouched},
    {"fails", RecordKind::kFails},       {"round-trip", RecordKind::kRoundTrip},
};

std::string Trim(const std::string& text) {
  size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// First word of `text`; the rest stays, trimmed.
std::string TakeWord(std::string& text) {
  size_t end = text.find_first_of(" \t");
  std::string word = text.substr(0, end);
  text = end == std::string::npos ? "" : Trim(text.substr(end));
  return word;
}

class Reader {
 public:
  Reader(std::string path, const std::map<std::string, std::string>& variables, SltFile& out)
      : path_(std::move(path)), variables_(variables), out_(out) {
    std::ifstream file(path_);
    if (!file) Throw(ErrorCode::kIo, "Reading the test file '{}'", path_);
    for (std::string line; std::getline(file, line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      lines_.push_back(line);
    }
  }

  void Read() {
    while (at_ < lines_.size()) {
      std::string line = Trim(lines_[at_]);
      if (line.empty() || line[0] == '#') {
        if (line == "# stream-check") out_.stream_check = true;
        at_++;
        continue;
      }
      ReadDirective(line);
      if (!out_.skip_reason.empty()) return;
    }
  }

 private:
  [[noreturn]] void Fail(const std::string& what) {
    Throw(ErrorCode::kSyntax, "{}:{}: {}", path_, at_ + 1, what);
  }

  void ReadDirective(std::string rest) {
    bool skip = false;
    Record record;
    record.file = path_;
    record.line = static_cast<int>(at_) + 1;
    std::string word = TakeWord(rest);
    while (word == "skipif" || word == "onlyif") {  // On their own line, before a record.
      skip |= (rest == "millrace") == (word == "skipif");
      if (++at_ >= lines_.size()) Fail("nothing follows " + word);
      rest = Trim(lines_[at_]);
      word = TakeWord(rest);
    }
    if (word == "include") {
      std::string folder = path_.substr(0, path_.find_last_of('/') + 1);
      Reader(folder + rest, variables_, out_).Read();
      at_++;
      return;
    }
    if (word == "require") {
      bool known = false;
      for (auto& feature : kFeatures) known |= feature == rest;
      if (!known) out_.skip_reason = "requires " + rest;
      at_++;
      return;
    }
    ParseHead(word, rest, record);
    at_++;
    ReadBody(record);
    if (!skip) out_.records.push_back(std::move(record));
  }

  void ParseHead(const std::string& word, std::string rest, Record& record) {
    auto simple = kSimpleDirectives.find(word);
    if (simple != kSimpleDirectives.end()) {
      record.kind = simple->second;
      record.argument = TakeWord(rest);
      if (word == "changes") record.order = ParseOrder(rest);
      if (word == "printed") record.order = ParseOrder(record.argument);
      return;
    }
    auto line = kLineDirectives.find(word);
    if (line != kLineDirectives.end()) {
      record.kind = line->second;
      record.argument = Substitute(rest);
      return;
    }
    if (word == "statement") {
      std::string what = TakeWord(rest);
      record.kind = what == "ok"      ? RecordKind::kStatementOk
                    : what == "error" ? RecordKind::kStatementError
                    : what == "count" ? RecordKind::kStatementCount
                    : what == "shows"
                        ? RecordKind::kStatementShows
                        : (Fail("statement ok, error, count or shows?"), RecordKind());
      record.argument = Substitute(rest);
      return;
    }
    if (word != "query") Fail("unknown directive '" + word + "'");
    record.kind = RecordKind::kQuery;
    record.types = TakeWord(rest);
    if (record.types.find_first_not_of("ITRBD?") != std::string::npos) {
      Fail("query types are letters of ITRBD? (one a column), not '" + record.types + "'");
    }
    record.order = ParseOrder(rest);
    record.argument = rest;
  }

  RowOrder ParseOrder(std::string& rest) {
    std::string copy = rest, word = TakeWord(copy);
    if (word != "nosort" && word != "rowsort" && word != "valuesort") return RowOrder::kAsIs;
    rest = copy;
    return word == "rowsort"     ? RowOrder::kRowSort
           : word == "valuesort" ? RowOrder::kValueSort
                                 : RowOrder::kAsIs;
  }

  // Lines up to a blank one. Those after "----" are rows; a feed has rows only.
  void ReadBody(Record& record) {
    bool in_rows = record.kind == RecordKind::kFeed || record.kind == RecordKind::kFile;
    for (; at_ < lines_.size() && !Trim(lines_[at_]).empty(); at_++) {
      std::string line = Substitute(lines_[at_]);
      if (!in_rows && Trim(line) == "----") {
        in_rows = record.has_rows = true;
      } else if (in_rows) {
        record.rows.push_back(line);
      } else {
        record.sql += record.sql.empty() ? line : "\n" + line;
      }
    }
  }

  std::string Substitute(std::string text) {
    for (size_t at = 0; (at = text.find("${", at)) != std::string::npos;) {
      size_t end = text.find('}', at);
      auto found = end == std::string::npos ? variables_.end()
                                            : variables_.find(text.substr(at + 2, end - at - 2));
      if (found == variables_.end()) Fail("unknown variable in: " + text);
      text.replace(at, end + 1 - at, found->second);
      at += found->second.size();
    }
    return text;
  }

  std::string path_;
  const std::map<std::string, std::string>& variables_;
  SltFile& out_;
  std::vector<std::string> lines_;
  size_t at_ = 0;
};

}  // namespace

SltFile ReadSltFile(const std::string& path, const std::map<std::string, std::string>& variables) {
  SltFile file;
  Reader(path, variables, file).Read();
  return file;
}

std::vector<std::string> SplitCells(const std::string& row) {
  std::vector<std::string> cells;
  std::string cell;
  for (size_t i = 0; i < row.size(); i++) {
    bool bar = row[i] == '|' && (i == 0 || row[i - 1] == ' ') &&
               (i + 1 == row.size() || row[i + 1] == ' ');
    if (bar || row[i] == '\t') {
      cells.push_back(Trim(cell));
      cell.clear();
    } else {
      cell += row[i];
    }
  }
  cells.push_back(Trim(cell));
  return cells;
}

}  // namespace millrace
