import Glibc
import Yams

/// Reads YAML as operators write it and hands it out as ``Field``s that know where they stand.
enum YAMLFile {
    /// An order of magnitude above a large site's ipmaps; anything longer is not a configuration.
    static let sizeLimit = 8 << 20

    /// Reads and parses a file; nil, with the reason in `problems`, when that is not possible.
    static func read(_ path: String, _ problems: Problems) -> Field? {
        switch contents(of: path) {
        case .success(let bytes):
            guard let text = String(validating: bytes, as: UTF8.self) else {
                let line = firstInvalidLine(bytes)
                problems.add(Problem(file: path, line: line, path: "", message: "is not UTF-8 text"))
                return nil
            }
            return parse(text, file: path, problems)
        case .failure(let failure):
            problems.add(Problem(file: path, path: "", message: failure.message))
            return nil
        }
    }

    /// Parses text as if it stood in the file of that name; nil, with the reason in `problems`, when it is no YAML.
    static func parse(_ text: String, file: String, _ problems: Problems) -> Field? {
        do {
            guard let node = try Parser(yaml: text).singleRoot() else {
                problems.add(Problem(file: file, path: "", message: "is empty"))
                return nil
            }
            return Field(node: node, path: "", file: file, problems: problems)
        } catch let error as YamlError {
            problems.add(problem(error, text: text, file: file))
        } catch {
            problems.add(Problem(file: file, path: "", message: "cannot be read as YAML: \(error)"))
        }
        return nil
    }

    private static func problem(_ error: YamlError, text: String, file: String) -> Problem {
        func at(_ mark: Mark, _ message: String) -> Problem {
            Problem(file: file, line: mark.line, column: mark.column, path: "", message: message)
        }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return at(mark, "is no valid YAML: \(context.map { "\($0.text): " } ?? "")\(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            let named = keys.map { "“\($0)”" }.joined(separator: ", ")
            return at(context.mark, "\(named) stands more than once in the mapping that begins here; each key once")
        case .reader(let problem, let offset, _, _):
            let before = text.prefix(offset ?? 0)
            let line = before.count { $0.isNewline } + 1
            return Problem(file: file, line: line, path: "", message: "is no valid YAML: \(problem)")
        default:
            return Problem(file: file, path: "", message: "is no valid YAML")
        }
    }

    private static func firstInvalidLine(_ bytes: [UInt8]) -> Int {
        var line = 1
        for part in bytes.split(separator: 10, omittingEmptySubsequences: false) {
            if String(validating: part, as: UTF8.self) == nil { return line }
            line += 1
        }
        return line
    }
}

extension YAMLFile {
    struct Unreadable: Error {
        var message: String

        init(_ message: String) {
            self.message = message
        }

        init(errno code: Int32) {
            message = "cannot be read: \(String(cString: strerror(code)))"
        }
    }

    /// The whole of a regular file up to ``sizeLimit``.
    static func contents(of path: String) -> Result<[UInt8], Unreadable> {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return .failure(Unreadable(errno: errno)) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { return .failure(Unreadable(errno: errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else { return .failure(Unreadable("is not a regular file")) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(file, &part, part.count)
            guard count >= 0 else { return .failure(Unreadable(errno: errno)) }
            if count == 0 { break }
            bytes += part[..<count]
            if bytes.count > sizeLimit { return .failure(Unreadable("is longer than \(sizeLimit >> 20) MB")) }
        }
        return .success(bytes)
    }
}
