import Glibc

/// Reads every `*.yaml` of a folder, in the order of their names, and merges them.
enum IPMapFolder {
    /// - Parameter folder: nil for the built-in map: every address the machine has.
    /// - Returns: nil when something was wrong; `problems` says what.
    static func load(_ folder: String?, hostName: String, _ problems: Problems) -> ExpandedIPMap? {
        var declared = IPMapDeclarations()
        if let folder {
            guard let names = files(in: folder, problems) else { return nil }
            for name in names {
                if let file = YAMLFile.read("\(folder)/\(name)", problems) {
                    IPMapFile.decode(file, into: &declared)
                }
            }
        } else if let file = YAMLFile.parse(builtIn, file: "built-in ipmap", problems) {
            IPMapFile.decode(file, into: &declared)
        }
        var expansion = IPMapExpansion(declared, hostName: hostName, problems: problems)
        return expansion.expand()
    }

    /// What a first start sends from.
    static let builtIn = """
        ranges:
          here: { interface: any }
        """

    private static func files(in folder: String, _ problems: Problems) -> [String]? {
        guard let stream = opendir(folder) else {
            let reason = String(cString: strerror(errno))
            problems.add(Problem(file: folder, path: "", message: "the ipmaps folder cannot be read: \(reason)"))
            return nil
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix(".") else { continue }
            if name.hasSuffix(".yaml") {
                names.append(name)
            } else if name.hasSuffix(".yml") || name.hasSuffix(".json") {
                problems.add(
                    Problem(file: "\(folder)/\(name)", path: "", message: "is not read; only *.yaml is. Rename it"))
            }
        }
        if names.isEmpty {
            problems.add(
                Problem(file: folder, path: "", message: "has no *.yaml file, so there is nothing to send from"))
            return nil
        }
        return names.sorted()
    }
}
