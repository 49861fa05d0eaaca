/// One thing that is wrong in a file an operator wrote: where it stands, and what would be right.
struct Problem: Hashable, Sendable, CustomStringConvertible {
    /// The file as it was named; nil when no file is to blame.
    var file: String?
    /// From 1; nil when the whole file is meant.
    var line: Int?
    /// From 1, in Unicode scalars.
    var column: Int?
    /// `delivery.schedule[2]`; empty when the whole file is meant.
    var path: String
    var message: String

    /// `relay.yaml:12:5: delivery.schedule[2]: expected a span, …`
    var description: String {
        var place = ""
        if let file {
            place += file
            if let line { place += ":\(line)" }
            if let column { place += ":\(column)" }
            place += ": "
        }
        return place + (path.isEmpty ? "" : "\(path): ") + message
    }
}

/// Gathers what is wrong, so that an operator sees all of it at once and not one thing for each start.
final class Problems {
    /// More than this many say that the file is something else altogether.
    private static let limit = 100

    private(set) var list: [Problem] = []

    var isEmpty: Bool { list.isEmpty }

    func add(_ problem: Problem) {
        if list.count < Self.limit, !list.contains(problem) { list.append(problem) }
    }

    func add(_ message: String) {
        add(Problem(path: "", message: message))
    }

    /// Throws all of them, if there are any.
    func check() throws(BadConfiguration) {
        if !list.isEmpty { throw BadConfiguration(problems: list) }
    }
}

/// A configuration that cannot be used, with every reason.
struct BadConfiguration: Error, CustomStringConvertible {
    let problems: [Problem]

    init(problems: [Problem]) {
        self.problems = problems
    }

    init(_ message: String, file: String? = nil) {
        problems = [Problem(file: file, path: "", message: message)]
    }

    /// One line for each problem.
    var description: String {
        problems.map(\.description).joined(separator: "\n")
    }
}
