/// Reads every `*.yaml` of a folder, in the order of their names, and merges them.
enum IPMapFolder {
    /// - Parameter folder: nil for the built-in map: every address the machine has.
    /// - Returns: nil when something was wrong; `problems` says what.
    static func load(_ folder: String?, hostName: String, _ problems: Problems) -> ExpandedIPMap? {
        var declared = IPMapDeclarations()
        if let folder {
            guard let names = YAMLFolder.files(in: folder, called: "the ipmaps folder", problems) else { return nil }
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
}
