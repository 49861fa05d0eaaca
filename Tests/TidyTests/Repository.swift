import Foundation
import Testing

/// The repository's own files, as the house rules see them.
enum Repository {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Paths from the root, sorted; what git ignores is left out.
    static let files: [String] = {
        let enumerator = FileManager.default.enumerator(
            at: root, includingPropertiesForKeys: [.isRegularFileKey, .isDirectoryKey])
        var found: [String] = []
        while let url = enumerator?.nextObject() as? URL {
            let name = url.lastPathComponent
            if name == ".git" || name.hasPrefix(".build") || name == "__pycache__" {
                enumerator?.skipDescendants()
            } else if (try? url.resourceValues(forKeys: [.isRegularFileKey]))?.isRegularFile == true {
                found.append(String(url.path.dropFirst(root.path.count)).trimmingPrefix("/").description)
            }
        }
        return found.sorted()
    }()

    static let swift = files.filter { $0.hasSuffix(".swift") }
    static let sources = swift.filter { $0.hasPrefix("Sources/") }
    /// Python modules and the scripts under `ops` and `.ci` that have no suffix.
    static let scripts = files.filter { path in
        path.hasPrefix("ops/") || path.hasPrefix(".ci/") || path.hasPrefix("Tests/EndToEnd/")
    }.filter { path in
        path.hasSuffix(".py") || path.hasSuffix(".sh") || text(path).hasPrefix("#!")
    }

    static func text(_ path: String) -> String {
        (try? String(contentsOf: root.appending(path: path), encoding: .utf8)) ?? ""
    }

    static func lines(_ path: String) -> [Substring] {
        text(path).split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The target that a file under Sources or Tests belongs to.
    static func target(_ path: String) -> String {
        String(path.split(separator: "/").dropFirst().first ?? "")
    }
}

/// A place where a rule is broken; a test lists them all at once.
struct Offence: CustomStringConvertible, Equatable {
    var path: String
    var line: Int
    var what: String

    var description: String { "\(path):\(line): \(what)" }
}

/// Expects a list of offences to be empty; says each of them on a line of its own, twenty at most.
func expectNone<Broken>(_ broken: [Broken], sourceLocation: SourceLocation = #_sourceLocation) {
    guard !broken.isEmpty else { return }
    let shown = broken.prefix(20).map { "\n    \($0)" }.joined()
    let rest = broken.count > 20 ? "\n    and \(broken.count - 20) more" : ""
    Issue.record("\(broken.count) offences:\(shown)\(rest)", sourceLocation: sourceLocation)
}

extension Array where Element == Offence {
    /// Every line of these files that `broken` has something to say about.
    ///
    /// - Parameter words: only lines that hold one of them are asked about; a search for words takes a hundredth of the
    ///   time that a pattern takes. None stands for every line.
    init(in paths: [String], holding words: [String] = [], _ broken: (Substring) -> String?) {
        self = paths.flatMap { path in
            Repository.lines(path).enumerated().compactMap { number, line in
                guard words.isEmpty || words.contains(where: { line.contains($0) }) else { return nil }
                return broken(line).map { Offence(path: path, line: number + 1, what: $0) }
            }
        }
    }
}
