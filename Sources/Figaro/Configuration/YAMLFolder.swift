import Glibc

/// A folder of files that operators write.
enum YAMLFolder {
    /// Names of its `*.yaml`, sorted; nil, with the reason in `problems`, when it cannot be read or has none.
    ///
    /// - Parameter name: what the folder is, for complaints.
    static func files(in folder: String, called name: String, _ problems: Problems) -> [String]? {
        guard let stream = opendir(folder) else {
            let reason = String(cString: strerror(errno))
            problems.add(Problem(file: folder, path: "", message: "\(name) cannot be read: \(reason)"))
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
            problems.add(Problem(file: folder, path: "", message: "\(name) has no *.yaml file"))
            return nil
        }
        return names.sorted()
    }
}
