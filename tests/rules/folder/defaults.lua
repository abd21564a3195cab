defaults { class = "transactional", mode = "parallel", exit_on = "folder.stop" }
