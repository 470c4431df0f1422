#include "app/shell.h"

#include <fcntl.h>
#include <histedit.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <cwchar>
#include <iostream>

#include "app/command_line.h"

namespace millrace {

namespace {

constexpr int kHistoryLines = 5000;

constexpr const char* kHelp = R"(Statements end with ';' and may take several lines.

  SHOW CATALOGS | DATABASES | TABLES | JOBS;      DESCRIBE t;      SHOW CREATE TABLE t;
  CREATE CATALOG lake WITH ('type' = 'paimon', 'warehouse' = '/path');   USE CATALOG lake;
  CREATE TABLE t (id INT PRIMARY KEY NOT ENFORCED, ...);   INSERT INTO t SELECT ...;
  INSERT OVERWRITE t SELECT ...;   TRUNCATE TABLE t;
  ALTER TABLE t ADD c INT | DROP c | RENAME a TO b;
  DELETE FROM t WHERE ...;   UPDATE t SET c = ... WHERE ...;   MERGE INTO t USING s ON ... WHEN ...;
  SELECT ...;   EXPLAIN SELECT ...;
  SET 'execution.runtime-mode' = 'batch' | 'streaming';
  SET 'sql-client.execution.result-mode' = 'table' | 'changelog' | 'tableau';
  SET;                                            all settings
  SHOW JOBS;   STOP JOB 'id';   EXPLAIN ANALYZE JOB 'id';   SHOW CHECKPOINTS OF JOB 'id';
  CHECK VIEW t;                                   a job's result against batch

  help;  clear;  quit;      Ctrl-C cancels a statement or clears the line, Ctrl-D leaves
  Tab completes keywords and names; Ctrl-R searches the history
)";

// What Tab offers besides names.
constexpr const char* kKeywords[] = {
    "ADD",         "ALL",       "ALTER",     "ANALYZE",     "AND",       "ARRAY",      "AS",
    "ASC",         "BEGIN",     "BETWEEN",   "BIGINT",      "BOOLEAN",   "BY",         "BYTES",
    "CALL",        "CASCADE",   "CASE",      "CAST",        "CATALOG",   "CATALOGS",   "CHECK",
    "CHECKPOINTS", "COLUMN",    "COLUMNS",   "COMMENT",     "COMPUTE",   "CONSTRAINT", "COUNT",
    "CREATE",      "DATABASE",  "DATABASES", "DATE",        "DECIMAL",   "DEFAULT",    "DELETE",
    "DESC",        "DESCRIBE",  "DISTINCT",  "DOUBLE",      "DROP",      "ELSE",       "END",
    "ENFORCED",    "EXCEPT",    "EXECUTE",   "EXISTS",      "EXPLAIN",   "FROM",       "FULL",
    "FUNCTIONS",   "GROUP",     "HAVING",    "IF",          "INNER",     "INSERT",     "INT",
    "INTERSECT",   "INTERVAL",  "INTO",      "IS",          "JOB",       "JOBS",       "JOIN",
    "KEY",         "LEFT",      "LIKE",      "LIMIT",       "MAP",       "MATCHED",    "MERGE",
    "MODIFY",      "NOT",       "NULL",      "ON",          "OPTIONS",   "ORDER",      "OUTER",
    "OVER",        "OVERWRITE", "PARTITION", "PARTITIONED", "PRIMARY",   "PROCEDURES", "RENAME",
    "RESET",       "RIGHT",     "ROW",       "SELECT",      "SET",       "SHOW",       "STATEMENT",
    "STATISTICS",  "STOP",      "STRING",    "SUM",         "TABLE",     "TABLES",     "TEMPORARY",
    "THEN",        "TIMESTAMP", "TRUNCATE",  "UNION",       "UPDATE",    "USE",        "USING",
    "VALUES",      "VERIFY",    "VIEW",      "VIEWS",       "WATERMARK", "WHEN",       "WHERE",
    "WITH"};

std::string Trimmed(const std::string& text) {
  size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(tolower(c));
  return text;
}

bool IsWordCharacter(char c) {
  return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' || c == '$';
}

// What `word` may become: keywords in its case, names as they are.
std::vector<std::string> Completions(const std::string& word, std::vector<std::string> names) {
  std::string start = Lower(word);
  for (const char* keyword : kKeywords) {
    names.push_back(word == start ? Lower(keyword) : std::string(keyword));
  }
  std::erase_if(names, [&](const std::string& name) {
    return name.size() < start.size() || Lower(name.substr(0, start.size())) != start;
  });
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

// libedit's handles. It reads through GetCharacter, which an interrupt can end: SIGINT itself is
// blocked in this thread (signals.h).
struct Shell::Editor {
  EditLine* line = nullptr;
  History* history = nullptr;
  HistEvent event{};
  int wake[2] = {-1, -1};
  bool interrupted = false;
  bool continues = false;                           // A statement has begun on a line before.
  std::function<std::vector<std::string>()> names;  // For Tab.
  mbstate_t shift{};

  Editor();
  ~Editor();
  static const char* Prompt(EditLine* line);
  static int GetCharacter(EditLine* line, wchar_t* character);
  static unsigned char Complete(EditLine* line, int);
  /// nullopt at the end of input; `interrupted` is set after Ctrl-C.
  std::optional<std::string> ReadLine();
  void Remember(const std::string& statement);
};

Shell::Editor::Editor() {
  if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
  if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0) Throw(ErrorCode::kIo, "Making a pipe failed");
  history = history_init();
  ::history(history, &event, H_SETSIZE, kHistoryLines);
  ::history(history, &event, H_SETUNIQUE, 1);
  std::string path = HistoryPath();
  if (!path.empty()) ::history(history, &event, H_LOAD, path.c_str());
  line = el_init("millrace", stdin, stdout, stderr);
  el_set(line, EL_CLIENTDATA, this);
  el_set(line, EL_PROMPT, Prompt);
  el_set(line, EL_EDITOR, "emacs");
  el_set(line, EL_SIGNAL, 0);
  el_set(line, EL_HIST, ::history, history);
  el_set(line, EL_GETCFN, GetCharacter);
  el_set(line, EL_ADDFN, "millrace-complete", "Completes a word", Complete);
  el_set(line, EL_BIND, "^I", "millrace-complete", nullptr);
  el_set(line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  el_set(line, EL_BIND, "\\e[3~", "ed-delete-next-char", nullptr);
  el_set(line, EL_BIND, "\\e[H", "ed-move-to-beg", nullptr);
  el_set(line, EL_BIND, "\\e[F", "ed-move-to-end", nullptr);
  el_source(line, nullptr);  // ~/.editrc
}

Shell::Editor::~Editor() {
  std::string path = HistoryPath();
  if (!path.empty()) ::history(history, &event, H_SAVE, path.c_str());
  el_end(line);
  history_end(history);
  close(wake[0]);
  close(wake[1]);
}

const char* Shell::Editor::Prompt(EditLine* line) {
  Editor* self = nullptr;
  el_get(line, EL_CLIENTDATA, &self);
  return self->continues ? "       -> " : "millrace> ";
}

int Shell::Editor::GetCharacter(EditLine* line, wchar_t* character) {
  Editor* self = nullptr;
  el_get(line, EL_CLIENTDATA, &self);
  for (;;) {
    pollfd files[2] = {{STDIN_FILENO, POLLIN, 0}, {self->wake[0], POLLIN, 0}};
    if (poll(files, 2, -1) < 0) continue;
    if (files[1].revents & POLLIN) {
      char drained[64];
      while (read(self->wake[0], drained, sizeof(drained)) > 0) continue;
      self->interrupted = true;
      return 0;
    }
    char byte;
    if (read(STDIN_FILENO, &byte, 1) <= 0) return 0;
    size_t used = mbrtowc(character, &byte, 1, &self->shift);
    if (used == static_cast<size_t>(-2)) continue;  // More bytes to come.
    if (used == static_cast<size_t>(-1)) {
      self->shift = {};
      continue;
    }
    return 1;
  }
}

// Adds what all words that begin like this one have in common; shows them when that is nothing.
unsigned char Shell::Editor::Complete(EditLine* line, int) {
  Editor* self = nullptr;
  el_get(line, EL_CLIENTDATA, &self);
  const LineInfo* info = el_line(line);
  const char* start = info->cursor;
  while (start > info->buffer && IsWordCharacter(start[-1])) start--;
  std::string word(start, info->cursor);
  if (word.empty()) return CC_ERROR;
  std::vector<std::string> matches = Completions(word, self->names());
  if (matches.empty()) return CC_ERROR;
  std::string common = matches[0].substr(word.size());
  for (const std::string& match : matches) {
    size_t same = 0;
    while (same < common.size() && word.size() + same < match.size() &&
           common[same] == match[word.size() + same]) {
      same++;
    }
    common.resize(same);
  }
  if (matches.size() == 1) common += ' ';
  if (!common.empty()) {
    el_insertstr(line, common.c_str());
    return CC_REFRESH;
  }
  std::string list;
  for (const std::string& match : matches) list += "  " + match;
  std::cout << "\n" + list + "\n" << std::flush;
  return CC_REDISPLAY;
}

std::optional<std::string> Shell::Editor::ReadLine() {
  interrupted = false;
  int length = 0;
  const char* text = el_gets(line, &length);
  if (interrupted) {
    el_reset(line);
    return "";
  }
  if (!text || length <= 0) return std::nullopt;
  std::string read(text, length);
  if (read.back() == '\n') read.pop_back();
  return read;
}

void Shell::Editor::Remember(const std::string& statement) {
  std::string one_line = Trimmed(statement);
  for (char& c : one_line) c = c == '\n' ? ' ' : c;
  if (!one_line.empty()) ::history(history, &event, H_ENTER, one_line.c_str());
}

Shell::Shell(Session& session, StatementRunner& runner, Output& output)
    : session_(session), runner_(runner), output_(output), editor_(std::make_unique<Editor>()) {
  editor_->names = [this] { return session_.KnownNames(); };
}

Shell::~Shell() = default;

std::string Shell::HistoryPath() {
  const char* state = getenv("XDG_STATE_HOME");
  if (state && *state) {
    std::string folder = std::string(state) + "/millrace";
    mkdir(state, 0700);
    mkdir(folder.c_str(), 0700);
    return folder + "/history";
  }
  const char* home = getenv("HOME");
  return home && *home ? std::string(home) + "/.millrace_history" : "";
}

void Shell::Interrupt() {
  if (executing_) {
    runner_.Interrupt();
    return;
  }
  char byte = 1;
  if (write(editor_->wake[1], &byte, 1) < 0) return;  // Full: the editor is awake already.
}

void Shell::Leave() {
  leaving_ = true;
  Interrupt();
}

bool Shell::RunCommand(const std::string& text, bool& leave) {
  std::string word = Lower(Trimmed(text));
  while (!word.empty() && word.back() == ';') word = Trimmed(word.substr(0, word.size() - 1));
  if (word == "quit" || word == "exit" || word == "\\q") {
    leave = true;
  } else if (word == "help" || word == "\\?" || word == "?" || word == "\\h") {
    output_.stream() << kHelp;
  } else if (word == "clear") {
    output_.stream() << "\x1b[H\x1b[2J";
  } else if (word.starts_with("\\")) {  // Of another shell's.
    output_.stream() << "There is no command '" + word + "'; help; lists what there is\n";
  } else {
    return false;
  }
  return true;
}

void Shell::Greet() {
  output_.stream() << fmt::format(
      "Millrace {}, {} mode. Statements end with ';'. help; shows more, quit; leaves.\n",
      MillraceVersion(), session_.Setting("execution.runtime-mode"));
}

void Shell::RunComplete(std::string& text) {
  std::vector<StatementText> statements = SplitScript(text);
  if (statements.empty()) {
    text.clear();  // Blanks and comments.
    return;
  }
  if (!statements.back().complete) return;
  editor_->Remember(text);
  for (const StatementText& statement : statements) {
    executing_ = true;
    bool failed = true;
    try {
      runner_.RunStatement(statement);
      failed = false;
    } catch (const std::exception& exception) {
      Error error = ErrorFrom(exception);
      std::string message = error.code() == ErrorCode::kCancelled
                                ? "Cancelled\n"
                                : DescribeError(error, "shell", text, statement.position);
      std::cerr << message + "\n";
    }
    executing_ = false;
    runner_.Rearm();
    if (failed || leaving_) break;
  }
  text.clear();
}

void Shell::Run() {
  Greet();
  std::string text;
  for (bool leave = false; !leave && !leaving_;) {
    editor_->continues = !text.empty();
    std::optional<std::string> line = editor_->ReadLine();
    if (!line) break;
    if (editor_->interrupted) {
      output_.stream() << "^C\n";
      text.clear();
      continue;
    }
    if (text.empty() && RunCommand(*line, leave)) continue;
    text += text.empty() ? *line : "\n" + *line;
    if (Trimmed(text).empty()) text.clear();
    if (!text.empty()) RunComplete(text);
  }
}

}  // namespace millrace
