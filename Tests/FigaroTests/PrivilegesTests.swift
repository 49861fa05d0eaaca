import Foundation
import Testing

@testable import Figaro

/// Whom the relay becomes. Each test runs in a process of its own, because there is no way back.
@Suite(.enabled(if: geteuid() == 0, "only root can become somebody else"))
struct PrivilegesTests {
    @Test func `root becomes the user for good, and the spool is the user's`() async throws {
        let folder = try TemporaryFolder(in: "/tmp")
        chmod(folder.path, 0o755)
        await #expect(processExitsWith: .success) { [path = folder.path as String] in
            umask(0o077)
            let spool = path + "/deep/spool"
            let privileges = try Privileges(user: "nobody")
            let nobody = try #require(UserAccount.named("nobody"))
            try privileges.prepareSpool(spool)
            try privileges.assume()
            #expect(geteuid() == nobody.user && getegid() == nobody.group)
            let file = open(spool + "/queue.sqlite", O_CREAT | O_RDWR, 0o600)
            #expect(file >= 0)
            try privileges.regain()
            #expect(geteuid() == 0)
            // The test library's main thread has ended in a way that leaves it root; the program's has not.
            try privileges.become()
            var status = stat()
            #expect(fstat(file, &status) == 0 && status.st_uid == nobody.user)
            #expect(getuid() == nobody.user && geteuid() == nobody.user && getgid() == nobody.group)
            #expect(setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0)
            #expect(open(spool + "/queue.sqlite", O_RDWR) >= 0)
        }
    }

    @Test func `a spool that root used is handed over, one of somebody else is refused`() throws {
        let folder = try TemporaryFolder()
        let nobody = try #require(UserAccount.named("nobody"))
        for name in ["root", "foreign"] { try folder.write("\(name)/content/1", "x") }
        chown(folder.path + "/foreign", 4_711, 4_711)
        let privileges = try Privileges(user: "nobody")
        try privileges.prepareSpool(folder.path + "/root")
        var status = stat()
        #expect(stat(folder.path + "/root/content/1", &status) == 0 && status.st_uid == nobody.user)
        #expect(throws: Privileges.Refused.self) { try privileges.prepareSpool(folder.path + "/foreign") }
    }

    @Test func `a user that is not there is refused by name`() {
        #expect {
            _ = try Privileges(user: "no-such-user-here")
        } throws: { "\($0)".contains("there is no user “no-such-user-here”") }
    }

    @Test func `started as a user it stays that user`() async {
        await #expect(processExitsWith: .success) {
            #expect(setgid(65_534) == 0 && setuid(65_534) == 0)
            let privileges = try Privileges(user: "root")
            #expect(privileges.account == nil && privileges.notice != nil)
            try privileges.prepareSpool("/nowhere")
            try privileges.assume()
            try privileges.regain()
            try privileges.drop()
            #expect(geteuid() == 65_534)
        }
    }
}
