import Yams

/// A mapping being read. It remembers which keys were asked for: those are the known ones, all others are errors.
final class Section {
    /// The mapping itself, for complaints about all of it.
    let whole: Field
    private let keys: [(name: String, key: Field, value: Field)]
    private var asked: [String] = []
    private var open = false

    init(_ whole: Field, _ mapping: Node.Mapping) {
        self.whole = whole
        var keys: [(name: String, key: Field, value: Field)] = []
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else {
                Field(node: key, path: whole.path, file: whole.file, problems: whole.problems)
                    .complain("a key must be a plain word")
                continue
            }
            let path = whole.path.isEmpty ? scalar.string : "\(whole.path).\(scalar.string)"
            let place = Field(node: key, path: path, file: whole.file, problems: whole.problems)
            // The parser tells keys apart by type as well (1 and "1"); we do not.
            if let first = keys.first(where: { $0.name == scalar.string }) {
                let line = first.key.node.mark.map { " in line \($0.line)" } ?? ""
                place.complain("stands here for the second time; the first is\(line)")
                continue
            }
            let value = Field(node: value, path: path, file: whole.file, problems: whole.problems)
            keys.append((scalar.string, place, value))
        }
        self.keys = keys
    }

    /// The value of a key that may be left out. A key without a value is an error.
    func optional(_ name: String) -> Field? {
        if !asked.contains(name) { asked.append(name) }
        return keys.first { $0.name == name }?.value
    }

    /// The value of a key that must be there.
    func required(_ name: String) -> Field? {
        if let field = optional(name) { return field }
        whole.complain("“\(name)” is missing")
        return nil
    }

    /// Where a key itself stands.
    func place(of name: String) -> Field? {
        keys.first { $0.name == name }?.key
    }

    /// All keys and values, for mappings whose keys are names that the operator chose.
    func entries() -> [(name: String, key: Field, value: Field)] {
        open = true
        return keys
    }

    func complainAboutUnknownKeys() {
        guard !open else { return }
        for entry in keys where !asked.contains(entry.name) {
            entry.key.complain(
                "unknown key\(Nearest.hint(entry.name, among: asked)); allowed here: \(asked.joined(separator: ", "))")
        }
    }
}
