"""Where packages come from: what of a shell's pip and uv is listened to."""

from stack.python_packages import environment

FILES = """\
global.cert='/etc/company.pem'
global.index-url='https://global.example/simple'
global.target='/elsewhere'
install.extra-index-url='\\nhttps://one.example\\nhttps://two.example'
install.index-url='https://install.example/simple'
install.user='true'
"""


def test_pips_files_tell_both_where_packages_come_from():
    """
    An index, others beside it and a certificate of pip.conf reach uv, too; the part of install wins over global.
    """
    variables = environment({}, FILES)

    assert "https://install.example/simple" == variables["PIP_INDEX_URL"] == variables["UV_DEFAULT_INDEX"]
    assert "https://one.example https://two.example" == variables["PIP_EXTRA_INDEX_URL"] == variables["UV_INDEX"]
    assert "/etc/company.pem" == variables["PIP_CERT"] == variables["SSL_CERT_FILE"]


def test_pips_variables_win_over_its_files_and_uvs_over_pips():
    """
    What the shell says now counts more than what a file said once.
    """
    shell = {"PIP_INDEX_URL": "https://shell.example", "PIP_CERT": "/pip.pem", "SSL_CERT_FILE": "/shell.pem"}
    variables = environment(shell | {"PIP_TRUSTED_HOST": "a b"}, FILES)

    assert "https://shell.example" == variables["PIP_INDEX_URL"] == variables["UV_DEFAULT_INDEX"]
    assert ("/pip.pem", "/shell.pem") == (variables["PIP_CERT"], variables["SSL_CERT_FILE"])
    assert "a b" == variables["UV_INSECURE_HOST"]
    assert (
        "https://uv.example" == environment(shell | {"UV_DEFAULT_INDEX": "https://uv.example"}, "")["UV_DEFAULT_INDEX"]
    )


def test_nothing_leads_to_another_place():
    """
    No variable and no file of pip's, uv's or Python's may name a folder, a user or another Python to install into.
    """
    traps = {"PIP_USER": "1", "PIP_TARGET": "/t", "PIP_PREFIX": "/p", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_PYTHON": "/x"}
    traps |= {
        "UV_SYSTEM_PYTHON": "1",
        "UV_TARGET": "/t",
        "UV_PYTHON": "3.9",
        "UV_CONFIG_FILE": "/u",
        "UV_LINK_MODE": "x",
    }
    traps |= {"PYTHONPATH": "/y", "PIP_CONFIG_FILE": "/pip.conf"}

    assert {"PATH": "/bin", "PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1"} == environment(
        traps | {"PATH": "/bin"}, "global.target='/elsewhere'\ninstall.user='true'\n"
    )


def test_uv_hears_only_of_wheel_folders_that_are_there(tmp_path):
    """
    A missing folder of find-links is nothing to pip and an error to uv, which is told of the others.
    """
    links = f"{tmp_path} /missing https://wheels.example"
    variables = environment({"PIP_FIND_LINKS": links}, "")

    assert links == variables["PIP_FIND_LINKS"]
    assert f"{tmp_path},https://wheels.example" == variables["UV_FIND_LINKS"]
    assert "UV_FIND_LINKS" not in environment({"PIP_FIND_LINKS": "/missing"}, "")
