"""Debian's rspamd, with its configuration, rules and data in a folder of the test; it asks nobody on any network."""

import pathlib
import subprocess

from servers.process import Process, free_port

_configuration = """
options {{
    pidfile = "{folder}/rspamd.pid"; filters = ""; tempdir = "{folder}"; cores_dir = "{folder}";
    dns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 0.1s; retransmits = 0; }}
    hs_cache_dir = "{folder}/data"; control_socket = "{folder}/control.sock mode=0600";
    url_tld = "{folder}/tld.dat"; disable_hyperscan = true; soft_reject_on_timeout = {soft}; {options}
}}
lang_detection {{ languages = ["en"]; short_text_limit = 0; }}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "info"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; rewrite_subject = 10; subject = "[spam] %s"; }}
worker "normal" {{
    bind_socket = "127.0.0.1:{port}"; count = 1; task_timeout = {task_timeout}; max_tasks = 0; mime = true;
}}
lua = "{folder}/rules.lua";
"""

# Scores, headers and slowness that a test asks for in a header of its message.
_rules = """
local function number(task, name)
  local value = task:get_header(name)
  return value and tonumber(value)
end
rspamd_config:register_symbol({ name = 'TEST_SCORE', type = 'normal', score = 1.0, callback = function(task)
  local score = number(task, 'X-Test-Score')
  if score then task:insert_result('TEST_SCORE', score, 'asked for') end
end })
rspamd_config:register_symbol({ name = 'TEST_CLEAN', type = 'normal', score = -0.5, callback = function(task)
  task:insert_result('TEST_CLEAN', 1.0)
end })
rspamd_config:register_symbol({ name = 'TEST_ENVELOPE', type = 'normal', score = 0.0, callback = function(task)
  if not task:get_header('X-Test-Envelope') then return end
  local from = task:get_from('smtp')
  local said = { from and from[1] and from[1].addr or '', tostring(task:get_ip()), task:get_helo() or '',
                 task:get_user() or '', task:get_queue_id() or '', task:get_hostname() or 'no name' }
  for _, to in ipairs(task:get_recipients('smtp') or {}) do table.insert(said, to.addr) end
  task:insert_result('TEST_ENVELOPE', 1.0, said)
end })
-- Waits for a server at this port, which never answers: longer than a scan may take.
rspamd_config:register_symbol({ name = 'TEST_SLOW', type = 'normal', score = 20.0, callback = function(task)
  local port = number(task, 'X-Test-Slow')
  if not port then return end
  require('rspamd_http').request({ task = task, url = string.format('http://127.0.0.1:%d/', port), timeout = 30,
                                   callback = function() task:insert_result('TEST_SLOW', 1.0) end })
end })
rspamd_config:register_symbol({ name = 'TEST_ACTION', type = 'postfilter', score = 0.0, callback = function(task)
  local action = task:get_header('X-Test-Action')
  if action then task:set_pre_result(action, 'said by a test') end
  local add = task:get_header('X-Test-Add')
  if add then
    task:set_milter_reply({ add_headers = { ['X-Spam-Test'] = add }, remove_headers = { ['X-Test-Remove'] = 0 } })
  end
  local other = task:get_header('X-Test-Replace')
  if other then
    task:set_message('Subject: replaced\\r\\nX-Test-ID: ' .. other .. '\\r\\n\\r\\nanother body\\r\\n')
  end
  if task:get_header('X-Test-Body') then
    task:set_milter_reply({ reject = task:get_header('X-Test-Body') })
  end
end })
"""


class Rspamd:
    def __init__(self, folder, port=None, task_timeout="8s", soft_reject_on_timeout=False, options="", rules=""):
        self.folder = pathlib.Path(folder)
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        (self.folder / "rules.lua").write_text(_rules + rules)
        # The whole list takes longer to compile than any test.
        (self.folder / "tld.dat").write_text("com\nexample\n")
        self.config = self.folder / "rspamd.conf"
        self.config.write_text(_configuration.format(
            folder=self.folder, port=self.port, dns=free_port(), task_timeout=task_timeout, options=options,
            soft="true" if soft_reject_on_timeout else "false"))
        self.process = None
        self.start()

    def start(self):
        self.process = Process("rspamd", [
            "/usr/bin/rspamd", "-i", "-f", "-c", self.config, f"--var=DBDIR={self.folder / 'data'}",
            f"--var=RUNDIR={self.folder}", f"--var=LOGDIR={self.folder}"], self.folder)
        self.process.wait_for_port(self.port)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def log(self):
        return (self.folder / "rspamd.log").read_text(errors="replace")

    def stop(self):
        self.process.stop()


def rspamc(address, message, *options):
    """What the client of rspamd prints about a message."""
    done = subprocess.run(["/usr/bin/rspamc", "-h", address, *map(str, options)], input=message, capture_output=True,
                          timeout=60)
    return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
