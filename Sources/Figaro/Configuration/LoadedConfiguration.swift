import Delivery
import Mail

/// Everything that was read before a relay starts, and that `config check` reports on.
struct LoadedConfiguration: Sendable {
    var node: NodeConfiguration
    var ipmap: ExpandedIPMap
    var rules: ReplyRules
    /// What notices say, by language.
    var texts: [String: NoticeTexts]

    var planner: PlannerConfiguration { node.planner }

    /// Reads and checks all files.
    ///
    /// - Parameter machine: whether to ask this machine about files, users and addresses as well.
    static func load(_ path: String?, machine: Bool = true) throws(BadConfiguration) -> LoadedConfiguration {
        let problems = Problems()
        guard let node = NodeConfigurationFile.load(path, problems) else {
            try problems.check()
            throw BadConfiguration("cannot be decoded", file: path)
        }
        if machine { MachineChecks(configuration: node, problems: problems).run() }
        let ipmap = IPMapFolder.load(node.ipmaps, hostName: node.hostname, problems)
        let rules = ReplyRuleFile.load(node.replies, problems)
        let texts = NoticeTextFiles.load(node.notices.texts, problems)
        if let texts { check(node, texts, problems) }
        try problems.check()
        guard let rules else { throw BadConfiguration("the reply rules cannot be decoded", file: node.replies) }
        guard let ipmap else { throw BadConfiguration("the ipmaps cannot be decoded", file: node.ipmaps) }
        guard let texts else {
            throw BadConfiguration("the texts of notices cannot be decoded", file: node.notices.texts)
        }
        return LoadedConfiguration(node: node, ipmap: ipmap, rules: rules, texts: texts)
    }
}
